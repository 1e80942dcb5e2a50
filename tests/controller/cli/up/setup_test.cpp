// Which ports `furrow up` takes.
#include "controller/cli/up/setup.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/file_io.h"

namespace furrow::cli {
namespace {

FileHandle Listen(std::uint16_t port) {
  FileHandle socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  address.sin_port = ::htons(port);
  REQUIRE(::bind(socket.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(::listen(socket.Get(), 1) == 0);
  return socket;
}

}  // namespace

TEST_CASE("up: takes the ports that follow the one it is given") {
  const auto first = static_cast<std::uint16_t>(FreePorts().value().control - 1);
  std::string remark;
  const auto ports = ChoosePorts(first, true, remark);
  REQUIRE(ports);
  CHECK(ports->control == first + 1);
  CHECK(ports->bulk == first + 2);
  CHECK(remark.empty());
}

TEST_CASE("up: beside a controller that has the usual ports it takes others and says so") {
  const std::uint16_t taken = FreePorts().value().control;
  const FileHandle listener = Listen(taken);
  std::string remark;
  const auto ports = ChoosePorts(static_cast<std::uint16_t>(taken - 1), false, remark);
  REQUIRE(ports);
  CHECK(ports->control != taken);
  CHECK(CheckPortIsFree(ports->control));
  CHECK(remark.find("port " + std::to_string(taken) + " is in use") != std::string::npos);
}

TEST_CASE("up: ports that somebody asked for are not exchanged") {
  const std::uint16_t taken = FreePorts().value().control;
  const FileHandle listener = Listen(taken);
  std::string remark;
  const auto ports = ChoosePorts(static_cast<std::uint16_t>(taken - 1), true, remark);
  REQUIRE_FALSE(ports);
  CHECK(ports.error().message.find("--port") != std::string::npos);
}

}  // namespace furrow::cli
