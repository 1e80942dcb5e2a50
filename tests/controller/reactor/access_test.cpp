#include "common/enrol/proof.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

std::string KeyOf(char last) {
  return "0123456789abcdefghijklmnopqrstuvwxyzABC" + std::string(1, last);
}

// A farm whose allowlist is played by the test.
class AccessFarm : public ControllerFarm {
 public:
  AccessFarm() {
    state.access.public_key = KeyOf('Z');
    state.access.enrol_port = 7073;
  }

  // An enrolment with a secret of its own; what it stored and answered is taken out.
  EnrolmentId Make(std::uint32_t uses = 1, Duration valid = std::chrono::hours(1)) {
    secret_ = MakeEnrolSecret();
    last_ = EnrolmentId{Raw(last_) + 1};
    On(state, out, now, {kAlice, 1},
       NewEnrolment{last_, VerifyKeyOf(secret_), {"a100"}, uses, std::chrono::duration_cast<milliseconds>(valid)});
    CHECK(out.Stored<EnrolmentRecord>().uses == uses);
    CHECK(out.ToClient<EnrolmentMade>(kAlice, 1).enrolment.id == last_);
    return last_;
  }

  EnrolAsked Asking(const std::string& key, const std::string& name) {
    EnrolAsked asked{++ticket_, key, {}};
    asked.prove.enrolment = last_;
    asked.prove.name = name;
    asked.prove.challenge = MakeEnrolChallenge();
    asked.prove.proof = ProveEnrolment(secret_, {last_, state.access.public_key, key, name, asked.prove.challenge});
    return asked;
  }

  template <class T>
  T Commanded() {
    return TakeFirst<T>(out->access);
  }
  EnrolRefusal RefusalOf(const EnrolAsked& asked) {
    On(state, out, now, asked);
    const auto refused = Commanded<RefuseKey>();
    CHECK(refused.ticket == asked.ticket);
    CHECK_FALSE(refused.message.empty());
    CHECK(out.empty());
    return refused.reason;
  }

  // The machine joins, and the allowlist holds it.
  void Join(const std::string& key, const std::string& name) {
    On(state, out, now, Asking(key, name));
    out.Stored<EnrolmentRecord>();
    const auto admitted = Commanded<AdmitKey>();
    allowed.push_back(admitted.key);
    Read();
    CHECK(out.Stored<KeyRecord>().enrolment == last_);
    On(state, out, now, KeyAdmitted{last_, admitted.key, {}});
    CHECK(out.Stored<EnrolmentRecord>().used.back().admitted);
    CHECK(out.empty());
  }
  void Read() { On(state, out, now, AllowlistRead{allowed}); }

  std::vector<AllowedKey> allowed;

 private:
  EnrolSecret secret_{};
  EnrolmentId last_{};
  std::uint64_t ticket_ = 0;
};

}  // namespace

TEST_CASE("access: the use is on record before the key is let in, and counts") {
  AccessFarm farm;
  const EnrolmentId id = farm.Make();
  On(farm.state, farm.out, farm.now, farm.Asking(KeyOf('1'), "gpu-1"));
  const auto record = farm.out.Stored<EnrolmentRecord>();
  CHECK(record.used.size() == 1);
  CHECK_FALSE(record.used[0].admitted);
  const auto admitted = farm.Commanded<AdmitKey>();
  CHECK(admitted.key.who == Identity{Role::kAgent, "gpu-1"});
  CHECK(admitted.key.public_key == KeyOf('1'));
  CHECK(admitted.labels == std::vector<std::string>{"a100"});
  CHECK(admitted.enrolment == id);
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('2'), "gpu-2")) == EnrolRefusal::kUsedUp);
}

TEST_CASE("access: the same key asking again costs no second use, also after a crash in between") {
  AccessFarm farm;
  farm.Make();
  On(farm.state, farm.out, farm.now, farm.Asking(KeyOf('1'), "gpu-1"));
  const auto record = farm.out.Stored<EnrolmentRecord>();
  farm.Commanded<AdmitKey>();
  // The controller died here: what is on record comes back, the allowlist has no such key.
  farm.state.access.joining.clear();
  farm.state.access.enrolments[record.id] = record;
  farm.Pass(std::chrono::hours(2));  // expired meanwhile: it was in time when it asked first
  On(farm.state, farm.out, farm.now, farm.Asking(KeyOf('1'), "another-name"));
  CHECK(farm.Commanded<AdmitKey>().key.who.name == "gpu-1");
  CHECK(farm.out.empty());
}

TEST_CASE("access: each reason to refuse is told apart") {
  AccessFarm farm;
  farm.Make(3);
  farm.Join(KeyOf('1'), "gpu-1");
  farm.allowed.push_back({{Role::kClient, "ann"}, KeyOf('a')});
  farm.Read();
  farm.out.Clear();

  EnrolAsked wrong = farm.Asking(KeyOf('2'), "gpu-2");
  wrong.prove.proof[3] ^= 1;
  CHECK(farm.RefusalOf(wrong) == EnrolRefusal::kWrongSecret);
  wrong = farm.Asking(KeyOf('2'), "gpu-2");
  wrong.key = KeyOf('3');  // somebody else's proof
  CHECK(farm.RefusalOf(wrong) == EnrolRefusal::kWrongSecret);
  wrong = farm.Asking(KeyOf('2'), "gpu-2");
  wrong.prove.enrolment = EnrolmentId{999};
  CHECK(farm.RefusalOf(wrong) == EnrolRefusal::kUnknown);
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('2'), "gpu-1")) == EnrolRefusal::kNameTaken);
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('a'), "gpu-2")) == EnrolRefusal::kKeyTaken);
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('2'), "gpu 2")) == EnrolRefusal::kBadName);
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('2'), "")) == EnrolRefusal::kBadName);
  farm.state.refusing = "the disk is full";
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('2'), "gpu-2")) == EnrolRefusal::kBusy);
  farm.state.refusing.clear();
  farm.Pass(std::chrono::hours(1));
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('2'), "gpu-2")) == EnrolRefusal::kExpired);
}

TEST_CASE("access: two that want one name at the same moment do not both get it") {
  AccessFarm farm;
  farm.Make(5);
  On(farm.state, farm.out, farm.now, farm.Asking(KeyOf('1'), "gpu-1"));
  farm.out.Clear();
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('2'), "gpu-1")) == EnrolRefusal::kNameTaken);
}

TEST_CASE("access: a use is given back if the allowlist cannot be written") {
  AccessFarm farm;
  const EnrolmentId id = farm.Make();
  On(farm.state, farm.out, farm.now, farm.Asking(KeyOf('1'), "gpu-1"));
  farm.out.Clear();
  On(farm.state, farm.out, farm.now,
     KeyAdmitted{id, {{Role::kAgent, "gpu-1"}, KeyOf('1')}, Fail(Errc::kInternal, "disk full")});
  CHECK(farm.out.Stored<EnrolmentRecord>().used.empty());
  On(farm.state, farm.out, farm.now, farm.Asking(KeyOf('2'), "gpu-1"));
  farm.out.Stored<EnrolmentRecord>();
  farm.Commanded<AdmitKey>();
}

TEST_CASE("access: a revoked line lets nobody in, and says so to who has the secret alone") {
  AccessFarm farm;
  const EnrolmentId id = farm.Make(2);
  farm.Join(KeyOf('1'), "gpu-1");
  On(farm.state, farm.out, farm.now, {kAlice, 7}, RevokeEnrolment{id});
  CHECK(farm.out.Stored<EnrolmentRecord>().revoked == farm.now.wall);
  CHECK(farm.out.ToClient<Done>(kAlice, 7).text.find("1 that it let in stay") != std::string::npos);
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('2'), "gpu-2")) == EnrolRefusal::kRevoked);
  EnrolAsked guess = farm.Asking(KeyOf('2'), "gpu-2");
  guess.prove.proof = {};
  CHECK(farm.RefusalOf(guess) == EnrolRefusal::kWrongSecret);
  On(farm.state, farm.out, farm.now, {kAlice, 8}, RevokeEnrolment{EnrolmentId{77}});
  CHECK(farm.out.ToClient<Failure>(kAlice, 8).code == Errc::kNotFound);
}

TEST_CASE("access: a revoked key ends its session at once, keeps its jobs for the lease, and does not come back") {
  AccessFarm farm;
  farm.Make(2);
  farm.Join(KeyOf('1'), "gpu-1");
  const PeerId peer = farm.Connect("gpu-1");
  Run& run = farm.Accept(MakePipeline({MakeJob("a")}));
  farm.Plan();
  const Job& job = farm.JobOf(run, "a");
  REQUIRE(job.agent == "gpu-1");

  On(farm.state, farm.out, farm.now, {kAlice, 9}, RevokeKey{"gpu-1"});
  farm.out.ToAgent<Reregister>(peer);
  const auto drop = farm.Commanded<DropKey>();
  CHECK(drop.key == KeyOf('1'));
  CHECK(farm.out.empty());  // answered when it is done
  farm.allowed.clear();
  farm.Read();
  CHECK(farm.out.Stored<EraseKey>().key == KeyOf('1'));
  CHECK_FALSE(farm.state.agents.at("gpu-1").link.session.has_value());
  On(farm.state, farm.out, farm.now, KeyDropped{drop.ticket, {}});
  const std::string words = farm.out.ToClient<Done>(kAlice, 9).text;
  CHECK(words.find("agent gpu-1") != std::string::npos);
  CHECK(words.find("fashion#1/a") != std::string::npos);
  CHECK(words.find("its session is ended") != std::string::npos);

  CHECK(job.OnAgent());
  CHECK(farm.RefusalOf(farm.Asking(KeyOf('1'), "gpu-1")) == EnrolRefusal::kRevoked);
  farm.Pass(farm.state.settings.WithMargin(farm.state.settings.lease) + seconds(1));
  OnTick(farm.state, farm.out, farm.now);
  CHECK_FALSE(job.OnAgent());
  farm.out.Clear();
}

TEST_CASE("access: an agent whose key is revoked is forgotten when it holds nothing and its key stays away") {
  AccessFarm farm;
  farm.Make(2);
  farm.Join(KeyOf('1'), "gpu-1");
  farm.Join(KeyOf('2'), "gpu-2");
  farm.Connect("gpu-1");
  farm.Connect("gpu-2");
  Run& run = farm.Accept(MakePipeline({MakeJob("a")}));
  farm.Plan();
  REQUIRE(farm.JobOf(run, "a").agent == "gpu-1");
  const auto all = farm.allowed;
  const auto read = [&](std::vector<AllowedKey> keys) {
    farm.allowed = std::move(keys);
    farm.Read();
    farm.out.Clear();
  };
  const auto pass = [&](Duration span) {
    farm.Pass(span);
    OnTick(farm.state, farm.out, farm.now);
  };
  read({});  // an editor has emptied the file and is about to fill it again
  pass(seconds(59));
  CHECK(farm.out.empty());
  read(all);
  pass(seconds(59));
  CHECK(farm.out.empty());

  read({});
  pass(seconds(60));
  CHECK(farm.out.Stored<EraseAgent>().key == "gpu-2");
  CHECK(farm.out.empty());
  CHECK(farm.state.agents.contains("gpu-1"));  // its job may still run there
  pass(farm.state.settings.WithMargin(farm.state.settings.lease));
  farm.out.Clear();
  pass(seconds(1));
  farm.out.Clear();
  CHECK(farm.state.agents.empty());
  CHECK(farm.state.access.revoked_agents.empty());
}

TEST_CASE("access: keys are revoked by name or by a fingerprint's start, and what is ambiguous is told apart") {
  AccessFarm farm;
  farm.allowed = {{{Role::kAgent, "both"}, KeyOf('1')},
                  {{Role::kClient, "both"}, KeyOf('2')},
                  {{Role::kClient, "local"}, KeyOf('3')}};
  farm.Read();
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, {kAlice, 1}, RevokeKey{"nobody"});
  CHECK(farm.out.ToClient<Failure>(kAlice, 1).code == Errc::kNotFound);
  On(farm.state, farm.out, farm.now, {kAlice, 2}, RevokeKey{"both"});
  const auto both = farm.out.ToClient<Failure>(kAlice, 2);
  CHECK(both.message.find(FingerprintOf(KeyOf('1'))) != std::string::npos);
  CHECK(both.message.find(FingerprintOf(KeyOf('2'))) != std::string::npos);
  On(farm.state, farm.out, farm.now, {kAlice, 3}, RevokeKey{FingerprintOf(KeyOf('2')).substr(0, 7)});
  CHECK(farm.Commanded<DropKey>().key == KeyOf('2'));
  On(farm.state, farm.out, farm.now, {kAlice, 4}, RevokeKey{"local"});
  CHECK(farm.out.ToClient<Failure>(kAlice, 4).code == Errc::kRejected);
}

TEST_CASE("access: asked for twice an enrolment is one; a bad label makes none; old ones are forgotten") {
  AccessFarm farm;
  const EnrolSecret secret = MakeEnrolSecret();
  const NewEnrolment request{EnrolmentId{5}, VerifyKeyOf(secret), {}, 1, std::chrono::hours(1)};
  On(farm.state, farm.out, farm.now, {kAlice, 1}, request);
  farm.out.Stored<EnrolmentRecord>();
  On(farm.state, farm.out, farm.now, {kAlice, 1}, request);
  farm.out.ToClient<EnrolmentMade>(kAlice, 1);
  farm.out.ToClient<EnrolmentMade>(kAlice, 1);
  NewEnrolment other = request;
  other.verify_key = VerifyKeyOf(MakeEnrolSecret());
  On(farm.state, farm.out, farm.now, {kAlice, 2}, other);
  CHECK(farm.out.ToClient<Failure>(kAlice, 2).code == Errc::kRejected);
  other.id = EnrolmentId{6};
  other.labels = {"two words"};
  On(farm.state, farm.out, farm.now, {kAlice, 3}, other);
  CHECK(farm.out.ToClient<Failure>(kAlice, 3).message.find("two words") != std::string::npos);
  farm.Pass(std::chrono::hours(24 * 31));
  On(farm.state, farm.out, farm.now, {kAlice, 4},
     NewEnrolment{EnrolmentId{7}, VerifyKeyOf(secret), {}, 1, std::chrono::hours(1)});
  CHECK(farm.out.Stored<EraseEnrolment>().key == request.id);
  CHECK(farm.out.Stored<EnrolmentRecord>().id == EnrolmentId{7});
  farm.out.ToClient<EnrolmentMade>(kAlice, 4);
  CHECK(farm.state.access.enrolments.size() == 1);
}
