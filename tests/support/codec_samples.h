// One message of every kind in which every field has a value that is not its default, so that a field
// that a codec forgets is noticed. The same values in every run.
#pragma once

#include <utility>
#include <vector>

#include "common/pipeline/pipeline.h"
#include "common/wire/messages_agent.h"
#include "common/wire/messages_bulk.h"
#include "common/wire/messages_client.h"
#include "common/wire/messages_enrol.h"

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

}  // namespace furrow::testing
