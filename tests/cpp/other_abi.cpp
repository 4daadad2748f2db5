// The header beside a library of another ABI, for which its ws_abi_version() stands: everything that makes a handle
// fails, and says both numbers.
#include "wsabi.hpp"

#include <cstdio>

extern "C" uint32_t ws_abi_version(void) { return 99; }

int main() {
  ws::config config;
  const std::error_code all[] = {
    ws::check_abi().error(),
    ws::connect("ws://127.0.0.1:1/").error(),
    ws::connect("ws://127.0.0.1:1/", config).error(),
    ws::listen("ws://127.0.0.1:0/").error(),
    ws::listen("ws://127.0.0.1:0/", config).error(),
    ws::connection::client("ws://a/").error(),
    ws::connection::client("ws://a/", config).error(),
    ws::connection::server().error(),
    ws::connection::server(config).error(),
    ws::connection::from_partially_read(ws::role::client, {}).error(),
    ws::connection::from_partially_read(ws::role::client, {}, config).error(),
    ws::prepare_message(ws::kind::text, "x").error(),
    ws::poller::create().error(),
    config.set(ws::option::blocking, 0).error(),
    config.get(ws::option::blocking).error(),
    config.add_protocol("x").error(),
  };
  int wrong = 0;
  for (const auto &error : all) wrong += error != ws::errc::abi_mismatch;
  std::printf("%s\n", all[0].message().c_str());
  return wrong;
}
