// Says which Furrow this build is.
#pragma once

namespace furrow {

extern const char kVersion[];  // "0.1.0 (cdbc41d)": the release and the commit of the build

}  // namespace furrow
