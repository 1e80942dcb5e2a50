// Which Furrow this is.
#pragma once

namespace furrow {

extern const char kVersion[];  // "0.1.0 (cdbc41d)": release and commit that it was built from

}  // namespace furrow
