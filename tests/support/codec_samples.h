// Holds one message and one record of every kind, the values of tests/common/wire/golden.txt: every field that version
// 0.1.0 had has a value that is not its default. The samples never change; a later field has its default here, and
// tests/support/arbitrary.h tests it.
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
JobSpec SampleJobSpec();  // has one step of each kind
Pipeline SamplePipeline();
SourceInfo SampleSource();
Outcome SampleOutcome();
Offer SampleOffer();
std::vector<MetricLine> SampleMetricLines();

// These functions return one value of each alternative, in the variant's order.
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
