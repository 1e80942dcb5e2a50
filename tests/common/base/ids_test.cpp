#include "common/base/ids.h"

#include <doctest/doctest.h>

using namespace furrow;

TEST_CASE("ids: a uuid survives the way to hex and back") {
  const Uuid uuid = Uuid::Random();
  CHECK(Uuid::FromHex(uuid.ToHex()) == uuid);
  CHECK(uuid.ToHex().size() == 32);
}

TEST_CASE("ids: hex of the wrong length or alphabet is refused, naming what is wrong") {
  CHECK(Hash::FromHex("abc").error().message.find("64") != std::string::npos);
  CHECK(Hash::FromHex(std::string(64, 'G')).error().code == Errc::kInvalid);
}
