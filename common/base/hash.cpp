#include "common/base/hash.h"

#include <openssl/evp.h>

#include <utility>

#include "common/base/check.h"

namespace furrow {
namespace {

// The algorithm is fetched once, because looking it up costs more than hashing a small chunk.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  FURROW_CHECK(algorithm != nullptr, "OpenSSL computes SHA-256");
  return algorithm;
}

EVP_MD_CTX* NewContext() {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  FURROW_CHECK(context != nullptr, "OpenSSL computes SHA-256");
  return context;
}

void Finish(EVP_MD_CTX* context, Hash& out) {
  unsigned length = 0;
  FURROW_CHECK(EVP_DigestFinal_ex(context, out.bytes.data(), &length) == 1 && length == out.bytes.size(),
               "OpenSSL computes SHA-256");
}

struct ThreadContexts {
  EVP_MD_CTX* work = NewContext();
  EVP_MD_CTX* copy = NewContext();
  ~ThreadContexts() {
    EVP_MD_CTX_free(work);
    EVP_MD_CTX_free(copy);
  }
};

ThreadContexts& Contexts() {
  thread_local ThreadContexts contexts;
  return contexts;
}

}  // namespace

Sha256::Sha256() : context_(NewContext()) {
  Reset();
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
}

Sha256::Sha256(Sha256&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

Sha256& Sha256::operator=(Sha256&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

void Sha256::Update(std::span<const std::byte> bytes) {
  FURROW_CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1, "OpenSSL computes SHA-256");
}

Hash Sha256::Digest() const {
  EVP_MD_CTX* copy = Contexts().copy;
  FURROW_CHECK(EVP_MD_CTX_copy_ex(copy, context_) == 1, "OpenSSL computes SHA-256");
  Hash digest;
  Finish(copy, digest);
  return digest;
}

void Sha256::Reset() {
  FURROW_CHECK(EVP_DigestInit_ex2(context_, Algorithm(), nullptr) == 1, "OpenSSL computes SHA-256");
}

Hash HashOf(std::span<const std::byte> bytes) {
  EVP_MD_CTX* context = Contexts().work;
  FURROW_CHECK(EVP_DigestInit_ex2(context, Algorithm(), nullptr) == 1, "OpenSSL computes SHA-256");
  FURROW_CHECK(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1, "OpenSSL computes SHA-256");
  Hash digest;
  Finish(context, digest);
  return digest;
}

}  // namespace furrow
