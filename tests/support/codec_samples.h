// One message and one record of every kind in which every field that version 0.1.0 had has a value that is not its
// default: the values of tests/common/wire/golden.txt. They stay as they are; a field that comes later is at its
// default here, and tested by tests/support/arbitrary.h.
#pragma once

#include <utility>
#include <vector>

#include "schemas/agent.h"
#include "schemas/bulk.h"
#include "schemas/client.h"
#include "schemas/enrol.h"
#include "schemas/pipeline.h"
#include "schemas/record.h"

namespace furrow::testing {

Hash SampleHash(std::uint8_t first);
JobSpec SampleJobSpec();  // one step of each kind
Pipeline SamplePipeline();
SourceInfo SampleSource();
Outcome SampleOutcome();
Offer SampleOffer();
std::vector<MetricLine> SampleMetricLines();

// One alternative each, in the variant's order.
std::vector<AgentMessage> SampleAgentMessages();
std::vector<ToAgent> SampleToAgent();
std::vector<ClientRequest> SampleRequests();
std::vector<ClientReply> SampleReplies();
std::vector<BulkRequest> SampleBulkRequests();
std::vector<BulkReply> SampleBulkReplies();
std::vector<EnrolRequest> SampleEnrolRequests();
std::vector<EnrolReply> SampleEnrolReplies();
std::vector<Record> SampleRecords();

}  // namespace furrow::testing
