"""Steps of the proof: packages out of an apt repository, and a LibTorch out of an archive."""

import shutil
import tarfile

from base import index_repository
from farm import check
from machine import FOLDER, run
from upgrades import installed, versions

REPOSITORY = "deb [trusted=yes] file:/srv/repository ./"


def make_repository(proof):
    """The next version's packages as a repository, before the machines boot: they see it at /srv/repository."""
    folder = FOLDER / "repository"
    shutil.copytree(proof.next, folder)
    index_repository(folder)
    return folder


def repository(proof):
    """gpu-2, which has the old version, gets the newest of the repository, and nothing the second time."""
    check(versions(proof)["gpu-2"] == proof.version, f"gpu-2 has {versions(proof)['gpu-2']}")
    words = {"furrow_packages_path": "", "furrow_apt_repository": REPOSITORY}
    proof.books.must("upgrade.yml", "--limit", "gpu-2", furrow_upgrade_jobs="drain", **words)
    check(versions(proof)["gpu-2"] == proof.next_version, f"gpu-2 has {versions(proof)['gpu-2']}")
    check(not proof.farm.agents()["gpu-2"]["drained"], "gpu-2 gets no jobs afterwards")
    for book in ("upgrade.yml", "site.yml"):
        again = proof.books.must(book, "--limit", "gpu-2", furrow_upgrade_jobs="drain", **words)
        check(again.changed() == 0, f"{book} again changed {again.changed()} things:\n{again.changes()}")
    return "the second time changed=0"


def stand_in(proof):
    """An archive in the shape of LibTorch's, and a furrow-torch-cuda: the package of furrow-torch under that name."""
    folder = FOLDER / "cuda"
    library = folder / "libtorch/lib/libtorch.so"
    library.parent.mkdir(parents=True)
    library.write_text("stand-in\n")
    archive = folder / "libtorch.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "libtorch", "libtorch")
    packages = folder / "packages"
    shutil.copytree(proof.next, packages)
    tree = folder / "tree"
    run("dpkg-deb", "-R", next(packages.glob("furrow-torch_*.deb")), tree)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Package: furrow-torch\n", "Package: furrow-torch-cuda\nConflicts: furrow-torch\n"
                                                   f"Replaces: furrow-torch\nProvides: furrow-torch (= {proof.next_version})\n"))
    run("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, packages)
    return packages, archive


def libtorch(proof):
    packages, archive = stand_in(proof)
    words = {"furrow_packages_path": str(packages), "furrow_libtorch": str(archive)}
    proof.books.must("site.yml", "--limit", "gpu-2", **words)
    check(proof.gpu2.out("cat /opt/furrow/libtorch/lib/libtorch.so") == "stand-in", "the archive was not unpacked to /opt/furrow/libtorch")
    check(installed(proof.gpu2, "furrow-torch-cuda") == f"ii {proof.next_version}", "furrow-torch-cuda is not installed")
    check(not proof.gpu2.out("dpkg-query -W -f '${db:Status-Abbrev}' furrow-torch 2>/dev/null; true").startswith("ii"), "furrow-torch is there, too")
    again = proof.books.must("site.yml", "--limit", "gpu-2", **words)
    check(again.changed() == 0, f"the second run changed {again.changed()} things:\n{again.changes()}")


def steps(proof):
    proof.step("packages out of an apt repository", lambda: repository(proof))
    proof.step("a LibTorch out of an archive", lambda: libtorch(proof))
