// The repository worker as a program of its own, as the tests start it.
#include "controller/repos/repos.h"

int main() {
  return furrow::RepositoryWorkerMain();
}
