// A commit of an open git repository as a tree of chunks. For the repository worker.
#pragma once

#include "common/base/error.h"
#include "common/chunks/store.h"
#include "controller/repos/blob_cache.h"
#include "controller/repos/git.h"
#include "controller/repos/repos.h"

namespace furrow::repos {

// Puts the files of the requested commit and their tree into `store`, all of it durable, and says what the commit
// is and changes. Files that `cache` knows and the store has are not read. Submodules are left out with a note;
// files of Git LFS stay the pointers that git has. Errors as in Repositories::Import.
Result<ImportedCommit> ImportCommit(git_repository* repository, const ImportRequest& request, ChunkStore& store,
                                    BlobCache& cache);

}  // namespace furrow::repos
