// This header wraps libgit2 for the repository worker: git objects become values that free themselves, and libgit2's
// errors become Errors.
#pragma once

#include <git2.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace furrow::repos {

template <class T, void (*Free)(T*)>
struct GitFree {
  void operator()(T* object) const { Free(object); }
};
template <class T, void (*Free)(T*)>
using GitPtr = std::unique_ptr<T, GitFree<T, Free>>;

using Repository = GitPtr<git_repository, git_repository_free>;
using Object = GitPtr<git_object, git_object_free>;
using Commit = GitPtr<git_commit, git_commit_free>;
using GitTree = GitPtr<git_tree, git_tree_free>;
using Blob = GitPtr<git_blob, git_blob_free>;
using TreeItem = GitPtr<git_tree_entry, git_tree_entry_free>;
using Diff = GitPtr<git_diff, git_diff_free>;
using Remote = GitPtr<git_remote, git_remote_free>;
using Reference = GitPtr<git_reference, git_reference_free>;
using References = GitPtr<git_reference_iterator, git_reference_iterator_free>;

// Returns the failure `code` of the last libgit2 call, with libgit2's own message behind `what`. Trouble of the
// network, a full disk and a lack of file descriptors are kUnavailable, a missing object kNotFound, damaged objects
// kCorrupt, out of memory kInternal.
Error GitError(int code, const std::string& what);

// Returns `text` as valid UTF-8 without control characters, on one line, at most `max_bytes`.
std::string Presentable(std::string_view text, std::size_t max_bytes);

std::string ToHex(const git_oid& id);

}  // namespace furrow::repos
