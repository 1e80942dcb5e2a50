#include "common/enrol/proof.h"

#include <sodium.h>

#include <charconv>

#include "common/base/check.h"

namespace furrow {
namespace {

void Begin() {
  FURROW_CHECK(::sodium_init() >= 0, "libsodium finds no source of randomness");
}

struct SigningKey {
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> open{};
  std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> secret{};
  ~SigningKey() { ::sodium_memzero(secret.data(), secret.size()); }
};

SigningKey KeyOf(const EnrolSecret& secret) {
  Begin();
  constexpr std::string_view kUse = "furrow enrolment key";
  std::array<std::uint8_t, crypto_sign_SEEDBYTES> seed{};
  ::crypto_generichash(seed.data(), seed.size(), secret.data(), secret.size(),
                       reinterpret_cast<const unsigned char*>(kUse.data()), kUse.size());
  SigningKey key;
  ::crypto_sign_seed_keypair(key.open.data(), key.secret.data(), seed.data());
  ::sodium_memzero(seed.data(), seed.size());
  return key;
}

std::string TextOf(const EnrolClaim& claim) {
  FURROW_CHECK(claim.controller_key.size() == 40 && claim.agent_key.size() == 40, "a public key has 40 characters");
  std::string text = "furrow enrolment 1";
  for (int shift = 0; shift < 64; shift += 8) text.push_back(static_cast<char>(Raw(claim.enrolment) >> shift));
  text += claim.controller_key + claim.agent_key;
  text.append(reinterpret_cast<const char*>(claim.challenge.bytes.data()), claim.challenge.bytes.size());
  return text + claim.name;
}

const unsigned char* BytesOf(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

EnrolSecret MakeEnrolSecret() {
  Begin();
  EnrolSecret secret{};
  ::randombytes_buf(secret.data(), secret.size());
  return secret;
}

EnrolmentId MakeEnrolmentId() {
  Begin();
  return EnrolmentId{1 + ::randombytes_uniform(UINT32_MAX)};
}

Hash MakeEnrolChallenge() {
  Begin();
  Hash challenge;
  ::randombytes_buf(challenge.bytes.data(), challenge.bytes.size());
  return challenge;
}

Hash VerifyKeyOf(const EnrolSecret& secret) {
  return {KeyOf(secret).open};
}

EnrolSignature ProveEnrolment(const EnrolSecret& secret, const EnrolClaim& claim) {
  const SigningKey key = KeyOf(secret);
  const std::string text = TextOf(claim);
  EnrolSignature proof{};
  ::crypto_sign_detached(proof.data(), nullptr, BytesOf(text), text.size(), key.secret.data());
  return proof;
}

bool CheckEnrolment(const Hash& verify_key, const EnrolClaim& claim, const EnrolSignature& proof) {
  Begin();
  const std::string text = TextOf(claim);
  return ::crypto_sign_verify_detached(proof.data(), BytesOf(text), text.size(), verify_key.bytes.data()) == 0;
}

std::string FingerprintOf(std::string_view public_key) {
  Begin();
  std::array<std::uint8_t, crypto_generichash_BYTES> digest{};
  ::crypto_generichash(digest.data(), digest.size(), reinterpret_cast<const unsigned char*>(public_key.data()),
                       public_key.size(), nullptr, 0);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 6; ++i) {
    if (i != 0 && i % 2 == 0) text += '-';
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

std::string FormatEnrolmentId(EnrolmentId id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[Raw(id) >> shift & 15];
  return text;
}

EnrolmentId ParseEnrolmentId(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (failed != std::errc{} || end != text.data() + text.size() || text.size() != 8) return EnrolmentId{};
  return EnrolmentId{number};
}

}  // namespace furrow
