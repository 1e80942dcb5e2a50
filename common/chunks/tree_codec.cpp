// Encodes trees canonically and decodes them; controller/STORE.md, "Trees", defines the bytes.
#include <cstring>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/chunks/tree.h"

namespace furrow {
namespace {

constexpr std::string_view kMagic = "FURTREE1";
constexpr std::size_t kSmallestEntry = 1 + 2 + 1;  // an empty directory with a name of one byte
constexpr std::size_t kChunkBytes = 32 + 4;

Result<TreeEntry> DecodeEntry(ByteReader& in) {
  TreeEntry entry;
  const std::uint8_t mode = in.U8();
  if (mode > static_cast<std::uint8_t>(TreeMode::kDirectory)) return Fail(Errc::kCorrupt, "tree: an unknown mode");
  entry.mode = static_cast<TreeMode>(mode);
  const std::size_t path_bytes = in.U16();
  entry.path = in.Text(path_bytes);
  if (entry.mode == TreeMode::kSymlink) {
    const std::size_t target_bytes = in.U16();
    entry.target = in.Text(target_bytes);
  } else if (entry.mode != TreeMode::kDirectory) {
    entry.size = in.U64();
    const std::size_t count = in.U32();
    if (count > in.Left() / kChunkBytes) return Fail(Errc::kCorrupt, "tree: more chunks than bytes");
    entry.chunks.resize(count);
    for (ChunkRef& chunk : entry.chunks) {
      in.Copy(chunk.hash.bytes.data(), chunk.hash.bytes.size());
      chunk.size = in.U32();
    }
  }
  if (!in.Ok()) return Fail(Errc::kCorrupt, "tree: the encoding ends within an entry");
  return entry;
}

}  // namespace

Result<EncodedTree> EncodeTree(const Tree& tree) {
  FURROW_TRY(ValidateTree(tree));
  EncodedTree encoded;
  std::string& out = encoded.bytes;
  out += kMagic;
  PutU32(out, static_cast<std::uint32_t>(tree.entries.size()));
  for (const TreeEntry& entry : tree.entries) {
    out += static_cast<char>(entry.mode);
    PutU16(out, static_cast<std::uint16_t>(entry.path.size()));
    out += entry.path;
    if (entry.mode == TreeMode::kSymlink) {
      PutU16(out, static_cast<std::uint16_t>(entry.target.size()));
      out += entry.target;
    } else if (entry.mode != TreeMode::kDirectory) {
      PutU64(out, entry.size);
      PutU32(out, static_cast<std::uint32_t>(entry.chunks.size()));
      for (const ChunkRef& chunk : entry.chunks) {
        out.append(reinterpret_cast<const char*>(chunk.hash.bytes.data()), chunk.hash.bytes.size());
        PutU32(out, chunk.size);
      }
    }
    if (out.size() > kMaxBlobBytes)
      return Fail(Errc::kInvalid, "tree: its list of files and chunks is over 64 MiB; split it into several trees");
  }
  encoded.name = HashOf(out);
  return encoded;
}

Result<Tree> DecodeTree(std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxBlobBytes) return Fail(Errc::kInvalid, "tree: an encoding of over 64 MiB");
  ByteReader in(bytes);
  if (in.Text(kMagic.size()) != kMagic) return Fail(Errc::kCorrupt, "tree: this is not the encoding of a tree");
  const std::size_t count = in.U32();
  if (!in.Ok() || count > in.Left() / kSmallestEntry) return Fail(Errc::kCorrupt, "tree: more entries than bytes");
  Tree tree;
  tree.entries.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    FURROW_ASSIGN(TreeEntry entry, DecodeEntry(in));
    tree.entries.push_back(std::move(entry));
  }
  if (in.Left() != 0) return Fail(Errc::kCorrupt, "tree: bytes behind the last entry");
  FURROW_TRY(ValidateTree(tree));
  return tree;
}

}  // namespace furrow
