#include "agent/runner/program_file.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

#include "common/base/git_lfs.h"

namespace furrow::runner {
namespace {

using namespace std::string_view_literals;

std::string Begin(const std::string& path) {
  std::array<char, 256> bytes;
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), bytes.size());
  return {bytes.data(), static_cast<std::size_t>(file.gcount())};
}

// Returns the beginning of a script's first line, which names its interpreter; empty: the file is no script.
std::string InterpreterLine(std::string_view begin) {
  constexpr std::size_t kMost = 128;
  const std::string_view line = begin.substr(0, begin.find('\n'));
  return std::string(line.starts_with("#!") ? line.substr(0, kMost) : std::string_view());
}

// Returns a number of two bytes in an ELF file's header; none: the file is none.
std::optional<unsigned> ElfHalf(std::string_view begin, std::size_t at) {
  if (!begin.starts_with(std::string_view(ELFMAG, SELFMAG)) || begin.size() < at + 2) return std::nullopt;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(begin[i])); };
  return begin[EI_DATA] == ELFDATA2MSB ? byte(at) << 8 | byte(at + 1) : byte(at + 1) << 8 | byte(at);
}

std::string MachineName(unsigned machine) {
  switch (machine) {
    case EM_386: return "32-bit x86";
    case EM_X86_64: return "x86-64";
    case EM_ARM: return "32-bit ARM";
    case EM_AARCH64: return "ARM64 (aarch64)";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "POWER";
    case EM_S390: return "s390x";
    default: return "machine type " + std::to_string(machine);
  }
}

// Says what an ELF file is that this machine does not execute.
std::string WhyNoElf(std::string_view begin) {
  constexpr std::size_t kType = offsetof(Elf64_Ehdr, e_type);
  constexpr std::size_t kMachine = offsetof(Elf64_Ehdr, e_machine);
  const auto machine = ElfHalf(begin, kMachine);
  const auto ours = ElfHalf(Begin("/proc/self/exe"), kMachine);
  if (machine && ours && machine != ours)
    return "it is a program for another kind of machine, " + MachineName(*machine) + "; this agent is " +
           MachineName(*ours) + ": build it for that, or choose other machines with `labels`";
  if (ElfHalf(begin, kType) == ET_REL) return "it is an object file, which is no program before it is linked";
  return "it is a damaged or cut program file: build or fetch it again";
}

std::string WhyNoProgram(std::string_view begin) {
  if (begin.empty()) return "it is an empty file";
  if (begin.starts_with(std::string_view(ELFMAG, SELFMAG))) return WhyNoElf(begin);
  if (begin.starts_with("\xef\xbb\xbf#!")) return kByteOrderMark;
  if (IsLfsPointer(begin)) return std::string("it ") + kLfsPointer;
  if (begin.starts_with("\xff\xfe") || begin.starts_with("\xfe\xff"))
    return "it is text in UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)";
  if (begin.starts_with("MZ")) return "it is a program for Windows";
  for (const std::string_view magic : {"\xcf\xfa\xed\xfe"sv, "\xce\xfa\xed\xfe"sv, "\xca\xfe\xba\xbe"sv})
    if (begin.starts_with(magic)) return "it is a program for macOS, or Java's bytecode";
  if (begin.find('\0') != std::string_view::npos) return "it is neither a program for this machine nor a script";
  return "a script needs a first line like #!/bin/sh";
}

std::string WithoutInterpreter(std::string_view begin) {
  const std::string first = InterpreterLine(begin);
  if (first.ends_with('\r')) return kWindowsLineEnds;
  if (!first.empty())
    return "the interpreter in its first line, `" + first +
           "`, does not exist on this agent: install it, or begin the script with an interpreter that is there, as in "
           "#!/usr/bin/env python3";
  if (begin.starts_with(std::string_view(ELFMAG, SELFMAG)))
    return "the loader that it names does not exist on this agent: it was built for another system or C library "
           "(`file` shows the loader); build it here, or link it statically";
  return {};
}

}  // namespace

std::string WhyNotExecuted(const std::string& path, int number) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  if (S_ISDIR(info.st_mode)) return "it is a folder, and no folder can be executed: name a program in it";
  if (!S_ISREG(info.st_mode)) return "it is no regular file";
  const std::string begin = Begin(path);
  switch (number) {
    case ENOENT: return WithoutInterpreter(begin);
    case ENOEXEC: return WhyNoProgram(begin);
    case EACCES:
      if (::access(path.c_str(), X_OK) != 0)
        return "it may not be executed: `git update-index --chmod=+x FILE`, `chmod +x FILE`, or start it as `sh FILE`";
      if (const std::string first = InterpreterLine(begin); !first.empty())
        return "the interpreter in its first line, `" + first +
               "`, is a folder or may not be executed, or the file system is mounted noexec";
      return "the file system is mounted noexec, or a rule of this machine forbids it";
    default: return {};
  }
}

bool IsLfsPointerFile(const std::string& path) {
  return IsLfsPointer(Begin(path));
}

}  // namespace furrow::runner
