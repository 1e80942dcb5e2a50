#include "controller/access/enrol_guard.h"

#include <doctest/doctest.h>

namespace furrow {
namespace {

TimePoint At(double seconds) {
  return TimePoint{std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1000 + seconds))};
}

}  // namespace

TEST_CASE("enrol_guard: a peer that asks on and on is heard now and then, others as ever") {
  EnrolGuard guard(At(0));
  int heard = 0;
  for (int i = 0; i < 100; ++i) heard += guard.Admits(1, At(0)) ? 1 : 0;
  CHECK(heard == 10);
  CHECK(guard.Admits(2, At(0)));
  CHECK(guard.Admits(1, At(1)));
}

TEST_CASE("enrol_guard: a peer guesses seldom; many machines may join at once") {
  EnrolGuard guard(At(0));
  int tried = 0;
  for (int second = 0; second < 60; ++second) tried += guard.AdmitsProof(1, At(second)) ? 1 : 0;
  CHECK(tried <= 3 + 30);
  for (PeerId peer = 100; peer < 140; ++peer) CHECK(guard.AdmitsProof(peer, At(60)));
}

TEST_CASE("enrol_guard: all peers together are bounded, in what they may ask and in what is remembered of them") {
  EnrolGuard guard(At(0));
  int heard = 0, tried = 0;
  for (PeerId peer = 1; peer <= 20'000; ++peer) {
    heard += guard.Admits(peer, At(0)) ? 1 : 0;
    tried += guard.AdmitsProof(peer, At(0)) ? 1 : 0;
  }
  CHECK(heard == 1000);
  CHECK(tried == 200);
  CHECK(guard.peers() <= 4096);
}

}  // namespace furrow
