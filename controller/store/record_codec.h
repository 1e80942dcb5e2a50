// This codec turns records into the values of the store and back. Each value is one Cap'n Proto message whose root is
// schemas/record.capnp:Record, so the value names its own kind; `capnp decode` prints it. Any thread may call these
// functions, and none of them throws.
#pragma once

#include <string>
#include <string_view>

#include "common/base/error.h"
#include "schemas/record.h"

namespace furrow {

// Returns the value to be stored, for any struct of Record. kInvalid: the record breaks a cap of the schema, which its
// maker should have checked.
template <class T>
Result<std::string> EncodeValue(const T& record);

// Returns the record in a stored value, which may lie at any address. kCorrupt: the bytes are damaged, are a record of
// another kind, or were written by a newer Furrow; the message says which.
template <class T>
Result<T> DecodeValue(std::string_view value);

// Both functions exist for every struct of Record.

}  // namespace furrow
