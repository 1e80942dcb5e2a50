#include "common/wire/request_number.h"
#include "common/wire/codec.h"
#include "schemas/client.capnp.h"
#include "schemas/client.h"

namespace furrow {

std::uint64_t RequestNumberOf(std::string_view frame) {
  std::uint64_t number = 0;
  const Status opened = codec::OpenFrame(frame, kMaxClientRequestFrame, "request", [&](capnp::MessageReader& reader) {
    number = reader.getRoot<wire::Request>().getNumber();
  });
  return opened ? number : 0;
}

}  // namespace furrow
