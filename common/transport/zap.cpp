// Keeps the allowlist in memory and serves it as the ZAP handler.
#include <sys/stat.h>

#include <array>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/transport/impl.h"

namespace furrow {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(1000);  // how often a deleted line of the allowlist is looked for

// Encodes a property of a connection as ZMTP does: the name with its length in one byte, the value with its in four.
std::string Property(std::string_view name, std::string_view value) {
  std::string bytes(1, static_cast<char>(name.size()));
  bytes += name;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value.size() >> shift & 0xFF);
  bytes += value;
  return bytes;
}

}  // namespace

std::string UserId(const AllowedKey& key) {
  return (key.who.role == Role::kAgent ? "agent:" : "client:") + key.who.name + ':' + key.public_key;
}

std::optional<Identity> ParseUserId(std::string_view user_id) {
  const std::size_t first = user_id.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = user_id.find(':', first + 1);  // a name holds no ':', a key may
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view role = user_id.substr(0, first);
  if (role != "agent" && role != "client") return std::nullopt;
  return Identity{role == "agent" ? Role::kAgent : Role::kClient,
                  std::string(user_id.substr(first + 1, second - first - 1))};
}

std::string StrangerId(std::string_view public_key) {
  return "stranger::" + std::string(public_key);
}

std::optional<std::string> ParseStrangerId(std::string_view user_id) {
  constexpr std::string_view kMark = "stranger::";
  if (!user_id.starts_with(kMark)) return std::nullopt;
  return std::string(user_id.substr(kMark.size()));
}

Allowlist::Version Allowlist::Look(const std::filesystem::path& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return {};
  return {status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec, status.st_ino, status.st_size};
}

Status Allowlist::Load(const std::filesystem::path& path) {
  // The version is taken before the read, so the next look sees a change in between.
  const Version version = Look(path);
  FURROW_ASSIGN(auto keys, ReadAllowlist(path));
  {
    std::lock_guard lock(mutex_);
    path_ = path;
    version_ = version;
    user_ids_.clear();
    for (const AllowedKey& key : keys) user_ids_.emplace(key.public_key, UserId(key));
    generation_.fetch_add(1, std::memory_order_acq_rel);
  }
  if (on_read_) on_read_(std::move(keys));
  return {};
}

void Allowlist::OnRead(std::function<void(std::vector<AllowedKey>)> on_read) {
  std::lock_guard reading(reading_);
  on_read_ = std::move(on_read);
  std::vector<AllowedKey> keys;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, user_id] : user_ids_) keys.push_back({*ParseUserId(user_id), key});
  }
  on_read_(std::move(keys));
}

void Allowlist::Refresh() {
  std::lock_guard reading(reading_);
  std::filesystem::path path;
  const auto version = [&] {
    std::lock_guard lock(mutex_);
    path = path_;
    return version_;
  }();
  const Version now = Look(path);
  if (now == version) return;
  if (const Status loaded = Load(path); !loaded) {
    log::Error("the allowlist has changed and cannot be used; the keys of its last good version stay: {}",
               loaded.error().message);
    std::lock_guard lock(mutex_);
    version_ = now;
  } else {
    log::Info("the allowlist {} has changed and was read again", path.string());
  }
}

std::optional<std::string> Allowlist::Find(const std::string& public_key) {
  std::lock_guard lock(mutex_);
  for (const auto* keys : {&user_ids_, &temporary_}) {
    if (const auto found = keys->find(public_key); found != keys->end()) return found->second;
  }
  return std::nullopt;
}

bool Allowlist::Allows(std::string_view user_id) {
  const std::size_t name = user_id.find(':');
  const std::size_t key = name == std::string_view::npos ? name : user_id.find(':', name + 1);
  if (key == std::string_view::npos) return false;
  return Find(std::string(user_id.substr(key + 1))) == user_id;
}

void Allowlist::AddTemporary(const AllowedKey& key) {
  std::lock_guard lock(mutex_);
  temporary_.emplace(key.public_key, UserId(key));
}

void Allowlist::ExpectStranger(const std::string& public_key) {
  std::lock_guard lock(mutex_);
  stranger_ = public_key;
}

bool Allowlist::IsExpectedStranger(const std::string& public_key) {
  std::lock_guard lock(mutex_);
  return stranger_ == public_key;
}

void Allowlist::RemoveTemporary(const AllowedKey& key) {
  std::lock_guard lock(mutex_);
  temporary_.erase(key.public_key);
  generation_.fetch_add(1, std::memory_order_acq_rel);
}

ZapHandler::ZapHandler(zmq::context_t& context, Allowlist& allowlist)
    : allowlist_(allowlist),
      fence_(context, kIoThreads),
      questions_(context, zmq::socket_type::router),
      stop_here_(context, zmq::socket_type::pair),
      stop_there_(context, zmq::socket_type::pair) {
  questions_.set(zmq::sockopt::linger, 0);
  questions_.bind("inproc://zeromq.zap.01");  // libzmq asks at this address
  stop_here_.bind("inproc://furrow.zap.stop");
  stop_there_.connect("inproc://furrow.zap.stop");
  thread_ = std::thread([this] { Run(); });
}

ZapHandler::~ZapHandler() {
  stop_there_.send(zmq::message_t(), zmq::send_flags::dontwait);
  thread_.join();
}

void ZapHandler::Run() {
  std::array<zmq::pollitem_t, 2> items{zmq::pollitem_t{questions_.handle(), 0, ZMQ_POLLIN, 0},
                                       zmq::pollitem_t{stop_here_.handle(), 0, ZMQ_POLLIN, 0}};
  for (;;) {
    if (::zmq_poll(items.data(), static_cast<int>(items.size()), kLookAgain.count()) < 0 && zmq_errno() != EINTR)
      return;
    if ((items[1].revents & ZMQ_POLLIN) != 0) return;
    allowlist_.Refresh();  // a line that was just added lets the next connection in
    std::vector<Question> asked;
    while (auto question = Next()) asked.push_back(std::move(*question));
    if (asked.empty()) continue;
    const bool fenced = fence_.Pass();  // one for all of them
    for (Question& question : asked) Answer(question, fenced);
  }
}

std::optional<ZapHandler::Question> ZapHandler::Next() {
  // The parts are asker, nothing, version, request, domain, address, routing id, mechanism and credentials.
  std::vector<zmq::message_t> parts;
  for (bool more = true; more;) {
    zmq::message_t part;
    if (!questions_.recv(part, zmq::recv_flags::dontwait)) return std::nullopt;
    more = part.more();
    parts.push_back(std::move(part));
  }
  Question question;
  question.valid = parts.size() == 9 && parts[7].to_string_view() == "CURVE" && parts[8].size() == 32;
  if (parts.size() > 3) question.request = parts[3].to_string();
  if (question.valid) {
    std::array<char, 41> key{};
    ::zmq_z85_encode(key.data(), parts[8].data<std::uint8_t>(), parts[8].size());
    question.key = key.data();
    question.domain = parts[4].to_string();
    question.address = parts[5].to_string();
  }
  question.asker = std::move(parts.front());
  return question;
}

void ZapHandler::Answer(Question& question, bool fenced) {
  std::optional<std::string> user_id;
  if (question.valid) {
    const bool closed = question.domain == kZapDomain;
    if (closed) user_id = allowlist_.Find(question.key);
    if (question.domain == kOpenZapDomain) user_id = StrangerId(question.key);
    if (closed && !user_id && !allowlist_.IsExpectedStranger(question.key))
      log::WarningOf(question.address + ' ' + question.key,
                     "refused a connection from {}: its key {} is not on the allowlist", question.address,
                     question.key);
  }
  std::string status = user_id ? "200" : "400", text = user_id ? "OK" : "key not allowed", properties;
  if (user_id && !fenced) {
    // The peer's claim might come after this answer. With 300 the connection is closed, and the peer connects again.
    status = "300", text = "busy";
  } else if (user_id) {
    const std::string routing_id = MakeRoutingId(++connections_);
    user_id = routing_id + *user_id;
    properties = Property("Identity", routing_id);
  }
  questions_.send(question.asker, zmq::send_flags::sndmore);
  for (const std::string_view part : {std::string_view(), std::string_view("1.0"), std::string_view(question.request),
                                      std::string_view(status), std::string_view(text)})
    questions_.send(zmq::buffer(part), zmq::send_flags::sndmore);
  questions_.send(zmq::buffer(user_id.value_or("")), zmq::send_flags::sndmore);
  questions_.send(zmq::buffer(properties), zmq::send_flags::none);
}

}  // namespace furrow
