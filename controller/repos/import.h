// The importer turns a commit of an open git repository into a tree of chunks. Only the repository worker uses this
// header.
#pragma once

#include <functional>

#include "common/base/error.h"
#include "common/chunks/store.h"
#include "controller/repos/blob_cache.h"
#include "controller/repos/git.h"
#include "controller/repos/repos.h"

namespace furrow::repos {

// Puts the files of the requested commit and their tree into `store`, all durable, and returns the commit's data and
// changed paths. Files that `cache` knows and the store has are not read. What was put is committed, and `cache` saved,
// every 64 MiB and every two seconds, so that another try goes on from there when this process is killed; each time
// `progressed` is called. Submodules are left out with a note; of
// files in Git LFS the contents are taken where the repository holds them. What a checkout would convert is noted.
// Fails as Repositories::Import does.
Result<ImportedCommit> ImportCommit(git_repository* repository, const ImportRequest& request, ChunkStore& store,
                                    BlobCache& cache, const std::function<void()>& progressed);

}  // namespace furrow::repos
