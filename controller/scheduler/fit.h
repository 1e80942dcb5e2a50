// This header computes what an agent has free, and whether a job fits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/state/state.h"

namespace furrow {

bool CarriesLabels(const Offer& offer, const std::vector<std::string>& labels);

// A Capacity is what an agent has left while a plan is being made. A Capacity refers to the agent.
struct Capacity {
  const Agent* agent = nullptr;
  Load load;

  explicit Capacity(const Agent& of) : agent(&of), load(of.booked.load) {}

  // Returns whether the job would fit if the agent had nothing else to do.
  bool CouldEver(const JobSpec& spec) const;

  // Returns the devices that the job would get, or nothing if the job does not fit now. `extra_cpu_milli` says how far
  // CPUs may be promised beyond the offer.
  std::optional<std::vector<std::string>> Fit(const JobSpec& spec, std::uint64_t extra_cpu_milli) const;

  void Take(const JobSpec& spec, const std::vector<std::string>& uuids);
};

}  // namespace furrow
