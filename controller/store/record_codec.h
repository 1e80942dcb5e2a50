// Records to the values of the store and back. Each value is one Cap'n Proto message whose root is
// schemas/record.capnp:Record, so it says itself what it is; `capnp decode` prints it.
// Any thread. Nothing here throws.
#pragma once

#include <string>
#include <string_view>

#include "common/base/error.h"
#include "schemas/record.h"

namespace furrow {

// The value to be stored, of any struct of Record. kInvalid: the record breaks a cap of the schema; whoever made it
// should have said so.
template <class T>
Result<std::string> EncodeValue(const T& record);

// The record in a stored value, which may lie at any address. kCorrupt: the bytes are damaged, are a record of another
// kind, or were written by a newer Furrow; the message says which.
template <class T>
Result<T> DecodeValue(std::string_view value);

// Both are there for every struct of Record.

}  // namespace furrow
