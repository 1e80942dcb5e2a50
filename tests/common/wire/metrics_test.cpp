#include "common/wire/metrics.h"

#include <doctest/doctest.h>

using namespace furrow;

TEST_CASE("metric mean: shards count by their examples, which are summed") {
  const Metrics first{{"accuracy", 0.9}, {"examples", 3000}};
  const Metrics second{{"accuracy", 0.5}, {"examples", 1000}};
  CHECK(MeanMetrics({&first, &second}) == Metrics{{"accuracy", 0.8}, {"examples", 4000}});
}

TEST_CASE("metric mean: where one shard has no examples all count the same") {
  const Metrics first{{"loss", 1.0}, {"examples", 3000}};
  const Metrics second{{"loss", 3.0}};
  CHECK(MeanMetrics({&first, &second}) == Metrics{{"examples", 3000}, {"loss", 2.0}});
}

TEST_CASE("metric mean: nothing reported is nothing") {
  const Metrics none;
  CHECK(MeanMetrics({}).empty());
  CHECK(MeanMetrics({&none, &none}).empty());
}
