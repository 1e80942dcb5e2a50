// furrow repos shows the repositories that are watched for pushes, and forgets them.
#include <filesystem>

#include "common/base/user_folders.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/hook/hook.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"
#include "controller/cli/show/views_repos.h"

namespace furrow::cli {

Result<int> ReposCommand(const Session& session) {
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const RepositoryList list, farm->Ask<RepositoryList>(ListRepositories{}));
  WriteOut(session.json ? JsonRepositories(list) : RenderRepositories(list, session.Style()));
  return kExitPassed;
}

Result<int> ReposForgetCommand(const Session& session, const std::string& repository) {
  namespace fs = std::filesystem;
  if (repository.empty()) return Fail(Errc::kInvalid, "name a repository; `furrow repos` lists them");
  if (repository.find("://") == std::string::npos) FURROW_TRY(CheckCurrentFolder(repository));
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  // A repository that is still there is known by its one path; one that is gone, by what was its path.
  std::string path = repository;
  std::error_code failed;
  if (const auto found = RepositoryOf(repository)) {
    path = found->string();
  } else if (repository.find("://") == std::string::npos) {
    const fs::path absolute = fs::weakly_canonical(fs::absolute(repository, failed), failed);
    if (!failed) path = absolute.string();
  }
  Result<Done> done = farm->Ask<Done>(ForgetRepository{path});
  if (!done && done.error().code == Errc::kNotFound && path != repository)
    done = farm->Ask<Done>(ForgetRepository{repository});
  if (!done) return tl::unexpected(done.error());
  WriteOut(session.json ? JsonText("text", done->text) : done->text + "\n");
  return kExitPassed;
}

}  // namespace furrow::cli
