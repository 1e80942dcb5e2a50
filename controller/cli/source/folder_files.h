// FolderFiles tells what folders hold, so that `check` and `run` can look up the files that a pipeline names.
#pragma once

#include <string>
#include <vector>

#include "common/pipeline/pipeline.h"

namespace furrow::cli {

class FolderFiles final : public SourceFiles {
 public:
  // The sources are one of the `roots`; a file that one of them has is there.
  explicit FolderFiles(std::vector<std::string> roots);

  // Returns the folders that the sources of a pipeline file may begin at: its own, the one that the caller is in, and
  // the roots of the repositories around it.
  static FolderFiles Around(const std::string& pipeline_file);

  Kind Look(const std::string& path) const override;
  std::string Start(const std::string& path) const override;

 private:
  std::vector<std::string> roots_;
};

}  // namespace furrow::cli
