#include "controller/access/enrol_server.h"

#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>

#include "common/base/log.h"
#include "common/base/mailbox.h"
#include "common/base/overloaded.h"
#include "common/enrol/proof.h"
#include "common/wire/protocol_version.h"
#include "controller/access/enrol_guard.h"
#include "schemas/enrol.h"

namespace furrow {
namespace {

constexpr auto kLook = std::chrono::seconds(1);
constexpr int kMessagesPerTurn = 64;
// More connections than this at once are strangers that stay, so the endpoint closes all of them and opens again;
// honest clients connect again.
constexpr std::size_t kMostConnections = 512;

struct EnrolStop {};
using EnrolInput = std::variant<AccessCommand, EnrolStop>;

}  // namespace

struct EnrolServer::Impl {
  struct Asker {  // the receiver of an answer of the loop
    PeerId peer = 0;
    std::uint64_t nonce = 0;
  };

  Impl(Context& zmq, const Clock& system, EnrolServerOptions given, std::function<void(AccessEvent)> handler)
      : context(zmq),
        clock(system),
        options(std::move(given)),
        on_event(std::move(handler)),
        guard(system.Read().mono) {}

  Status Open();
  void Run();
  void Turn();
  void OnMessage(const Incoming& message);
  void On(const Incoming& message, const Probe& probe);
  void On(const Incoming& message, const EnrolBegin& begin);
  void On(const Incoming& message, const EnrolProve& prove);
  void On(const AdmitKey& command);
  void On(const RefuseKey& command);
  void On(const DropKey& command);
  void Refuse(PeerId peer, std::uint64_t nonce, EnrolRefusal reason, std::string message);
  void Send(PeerId peer, const EnrolReply& reply);
  std::optional<Asker> TakeAsker(std::uint64_t ticket);
  void OpenAnew();

  Context& context;
  const Clock& clock;
  EnrolServerOptions options;
  const std::function<void(AccessEvent)> on_event;
  std::unique_ptr<Server> server;
  std::optional<Poller> poller;
  Mailbox<EnrolInput> inputs;
  EnrolGuard guard;
  std::unordered_map<PeerId, Hash> challenges;
  std::unordered_map<std::uint64_t, Asker> askers;  // by ticket
  std::uint64_t last_ticket = 0;
  bool stopping = false;
  std::thread thread;
};

EnrolServer::EnrolServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EnrolServer::~EnrolServer() {
  impl_->context.OnAllowlist([](const std::vector<AllowedKey>&) {});
  impl_->inputs.Post(EnrolStop{});
  impl_->thread.join();
}

void EnrolServer::Post(AccessCommand command) {
  impl_->inputs.Post(std::move(command));
}

std::uint16_t EnrolServer::port() const {
  return impl_->options.port;
}

Result<std::unique_ptr<EnrolServer>> EnrolServer::Start(Context& context, const Clock& clock,
                                                        EnrolServerOptions options,
                                                        std::function<void(AccessEvent)> on_event) {
  auto impl = std::make_unique<Impl>(context, clock, std::move(options), std::move(on_event));
  FURROW_TRY(impl->Open());
  context.OnAllowlist([post = impl->on_event](std::vector<AllowedKey> keys) { post(AllowlistRead{std::move(keys)}); });
  impl->thread = std::thread([raw = impl.get()] { raw->Run(); });  // The new thread owns the socket.
  return std::unique_ptr<EnrolServer>(new EnrolServer(std::move(impl)));
}

Status EnrolServer::Impl::Open() {
  ServerOptions open;
  open.address = options.address;
  open.port = options.port;
  open.keys = options.keys;
  open.max_frame_bytes = kMaxEnrolRequestFrame;
  open.send_queue = 16;
  open.receive_queue = 16;
  open.open = true;
  FURROW_ASSIGN(server, Server::Bind(context, open));
  options.port = server->port();
  return {};
}

// ---- the loop ----------------------------------------------------------------------------------------------

void EnrolServer::Impl::Run() {
  while (!stopping) {
    if (server && !poller) {
      poller.emplace();
      poller->Add(*server);
      poller->AddFd(inputs.fd());
    }
    Turn();
  }
}

void EnrolServer::Impl::Turn() {
  poller->Wait(std::chrono::duration_cast<std::chrono::milliseconds>(kLook));
  for (EnrolInput& input : inputs.TakeAll()) {
    if (std::holds_alternative<EnrolStop>(input)) {
      stopping = true;
    } else {
      std::visit([this](const auto& command) { On(command); }, std::get<AccessCommand>(input));
    }
  }
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const auto message = server->Receive();
    if (!message) break;
    OnMessage(*message);
  }
  if (server->Connections() > kMostConnections) OpenAnew();
}

// Drops every connection. The port may stay taken for a moment, until ZeroMQ has closed it.
void EnrolServer::Impl::OpenAnew() {
  log::WarningOf("", "more than {} connections to the enrol port; all of them are dropped", kMostConnections);
  poller.reset();
  server.reset();
  guard.Forget();
  challenges.clear();
  askers.clear();
  while (!stopping && !server) {
    if (const Status opened = Open(); opened) return;
    Poller pause;
    pause.AddFd(inputs.fd());
    pause.Wait(std::chrono::milliseconds(100));
    for (EnrolInput& input : inputs.TakeAll()) {
      if (std::holds_alternative<EnrolStop>(input)) {
        stopping = true;
      } else {
        std::visit([this](const auto& command) { On(command); }, std::get<AccessCommand>(input));
      }
    }
  }
}

// ---- from strangers ----------------------------------------------------------------------------------------

void EnrolServer::Impl::OnMessage(const Incoming& message) {
  if (!guard.Admits(message.peer, clock.Read().mono))
    return log::WarningOf("", "somebody asks the enrol port too often; ignored");
  const auto request = DecodeEnrolRequest(message.payload);
  if (!request)
    return log::WarningOf(message.key,
                          "key {} said something on the enrol port that is neither an enrolment nor a probe: {}",
                          FingerprintOf(message.key), request.error().message);
  std::visit([&](const auto& kind) { On(message, kind); }, *request);
}

void EnrolServer::Impl::On(const Incoming& message, const Probe& probe) {
  ProbeAnswer answer;
  answer.nonce = probe.nonce;
  answer.wall = clock.Read().wall;
  answer.software = options.software;
  answer.oldest_version = kOldestProtocol;
  answer.newest_version = kNewestProtocol;
  answer.control_port = options.control_port;
  answer.bulk_port = options.bulk_port;
  if (const auto who = context.FindAllowed(message.key)) {
    answer.role = who->role == Role::kAgent ? KeyRole::kAgent : KeyRole::kClient;
    answer.name = who->name;
  }
  Send(message.peer, answer);
}

void EnrolServer::Impl::On(const Incoming& message, const EnrolBegin& begin) {
  const auto version = NegotiateProtocol({kOldestProtocol, kNewestProtocol}, options.software,
                                         {begin.oldest_version, begin.newest_version}, begin.software);
  if (!version) return Refuse(message.peer, begin.nonce, EnrolRefusal::kNoCommonVersion, version.error().message);
  // The map also holds challenges of closed connections.
  if (challenges.size() > 2 * kMostConnections) challenges.clear();
  const Hash challenge = challenges[message.peer] = MakeEnrolChallenge();
  Send(message.peer, EnrolChallenge{begin.nonce, challenge});
}

void EnrolServer::Impl::On(const Incoming& message, const EnrolProve& prove) {
  const auto challenge = challenges.find(message.peer);
  if (!guard.AdmitsProof(message.peer, clock.Read().mono) || challenge == challenges.end() ||
      challenge->second != prove.challenge)
    return Refuse(message.peer, prove.nonce, EnrolRefusal::kBusy, "too many tries; wait a moment and try again");
  if (askers.size() > 2 * kMostConnections) askers.clear();
  askers[++last_ticket] = {message.peer, prove.nonce};
  on_event(EnrolAsked{last_ticket, message.key, prove});
}

// ---- from the loop -----------------------------------------------------------------------------------------

std::optional<EnrolServer::Impl::Asker> EnrolServer::Impl::TakeAsker(std::uint64_t ticket) {
  const auto asker = askers.extract(ticket);
  if (asker.empty()) return std::nullopt;
  return asker.mapped();
}

void EnrolServer::Impl::On(const AdmitKey& command) {
  const auto asker = TakeAsker(command.ticket);
  const Status added = AddToAllowlist(options.allowlist, command.key);
  if (added) context.RefreshAllowlist();  // The refresh posts the new list to the loop, too.
  on_event(KeyAdmitted{command.enrolment, command.key, added});
  const std::string fingerprint = FingerprintOf(command.key.public_key);
  if (!added) {
    log::Error("agent {} ({}) could not be let in: {}", command.key.who.name, fingerprint, added.error().message);
    if (asker)
      Refuse(asker->peer, asker->nonce,
             added.error().code == Errc::kRejected ? EnrolRefusal::kNameTaken : EnrolRefusal::kBusy,
             "the controller could not let this machine in: " + added.error().message);
    return;
  }
  log::Info("agent {} ({}) is let in by enrolment {}", command.key.who.name, fingerprint,
            FormatEnrolmentId(command.enrolment));
  if (asker)
    Send(asker->peer, Enrolled{asker->nonce, command.key.who.name, command.labels, options.control_port,
                               options.bulk_port, options.software});
}

void EnrolServer::Impl::On(const RefuseKey& command) {
  if (const auto asker = TakeAsker(command.ticket)) Refuse(asker->peer, asker->nonce, command.reason, command.message);
}

void EnrolServer::Impl::On(const DropKey& command) {
  const Status removed =
      RemoveFromAllowlist(options.allowlist, [&](const AllowedKey& key) { return key.public_key == command.key; });
  if (removed) context.RefreshAllowlist();
  if (removed) log::Info("key {} is revoked", FingerprintOf(command.key));
  on_event(KeyDropped{command.ticket, removed});
}

// ---- to strangers ------------------------------------------------------------------------------------------

void EnrolServer::Impl::Refuse(PeerId peer, std::uint64_t nonce, EnrolRefusal reason, std::string message) {
  log::WarningOf(message, "an enrolment was refused: {}", message);
  Send(peer, EnrolRefused{nonce, reason, std::move(message)});
}

void EnrolServer::Impl::Send(PeerId peer, const EnrolReply& reply) {
  const auto frame = Encode(reply);
  if (!frame) return log::Warning("an answer of the enrol port cannot be sent: {}", frame.error().message);
  if (server) server->Send(peer, *frame);  // A client that gets no answer asks again.
}

}  // namespace furrow
