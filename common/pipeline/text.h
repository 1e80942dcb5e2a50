// Checks a furrow.yaml's bytes before any YAML is read. This header is internal to common_pipeline.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/pipeline/report.h"

namespace furrow::pipeline {

// Reports the first byte that is not UTF-8 and the first control character. Returns true if there is neither.
bool CheckBytes(std::string_view text, Report& report);

// Returns the position of byte `offset` (at most text.size()).
Position PositionAt(std::string_view text, std::size_t offset);

// Returns the column, from 1 and in characters, that follows `before`, the bytes of the line up to this column.
int ColumnAfter(std::string_view before);

}  // namespace furrow::pipeline
