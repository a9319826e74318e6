"""What the Hub keeps: repositories of commits, branches and tags. In memory."""

import hashlib
import json
from base64 import b64decode
from dataclasses import dataclass, field
from itertools import count

_COMMIT_NUMBERS = count()
GIT_ATTRIBUTES = b"*.parquet filter=lfs\n*.safetensors filter=lfs\n*.bin filter=lfs\n*.gz filter=lfs\n"
LFS_SUFFIXES = (".parquet", ".safetensors", ".bin", ".gz")
LFS_SIZE = 10 << 20  # larger files are never regular


class Refusal(Exception):
    """An answer other than success: status, X-Error-Code, message, and further headers."""

    def __init__(self, status: int, code: str = "", message: str = "", headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


@dataclass(frozen=True)
class File:
    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def blob(self) -> bytes:
        """What git holds: the content, or the pointer to it."""
        if not self.lfs:
            return self.content
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\n"
            f"size {len(self.content)}\n".encode()
        )

    @property
    def git_oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.blob) + self.blob).hexdigest()

    @property
    def change_oid(self) -> str:
        """By which clients see whether a file of theirs has changed."""
        return self.sha256 if self.lfs else self.git_oid


@dataclass(frozen=True)
class Commit:
    id: str
    title: str
    files: dict[str, File]
    history: tuple["Commit", ...]  # the commits before it, newest first


@dataclass
class Repository:
    kind: str  # "model" or "dataset"
    id: str
    private: bool = False
    gated: bool = False
    accepted: set[str] = field(default_factory=set)  # users who accepted a gated repository's terms
    branches: dict[str, Commit] = field(default_factory=dict)
    tags: dict[str, Commit] = field(default_factory=dict)

    def __post_init__(self):
        self.commit("main", "initial commit", {".gitattributes": File(GIT_ATTRIBUTES, lfs=False)})

    @property
    def owner(self) -> str:
        return self.id.partition("/")[0]

    @property
    def files(self) -> dict[str, File]:
        return self.branches["main"].files

    @property
    def titles(self) -> list[str]:
        """Of all commits on main since the repository was made, oldest first."""
        main = self.branches["main"]
        return [commit.title for commit in (*reversed(main.history), main)][1:]

    def commit(self, branch: str, title: str, files: dict[str, File]) -> Commit:
        before = self.branches.get(branch)
        history = (before, *before.history) if before else ()
        commit_id = hashlib.sha1(f"{next(_COMMIT_NUMBERS)} {self.id}".encode()).hexdigest()
        self.branches[branch] = Commit(commit_id, title, files, history)
        return self.branches[branch]

    def add(self, **contents: bytes) -> None:
        """A commit that adds files, as their owner's browser would make it; `__` in a name is a slash."""
        files = {name.replace("__", "/"): content for name, content in contents.items()}
        new = {path: File(content, path.endswith(LFS_SUFFIXES)) for path, content in files.items()}
        self.commit("main", "upload", {**self.files, **new})

    def at(self, revision: str) -> Commit:
        known = {**self.branches, **self.tags}
        if revision in known:
            return known[revision]
        for tip in known.values():
            for commit in (tip, *tip.history):
                if commit.id == revision:
                    return commit
        raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def apply(self, branch: str, lines: bytes, objects: dict[str, bytes]) -> Commit:
        """The commit that a client sends: one operation a line. `objects`: the large files, by sha256."""
        operations = [json.loads(line) for line in lines.splitlines()]
        header = operations.pop(0)["value"]
        if branch not in self.branches:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        parent = header.get("parentCommit")
        if parent not in (None, self.branches[branch].id):
            raise Refusal(412, message="A commit has happened since. Please refresh and try again.")
        files = dict(self.branches[branch].files)
        for operation in operations:
            key, value = operation["key"], operation["value"]
            path = value["path"]
            if key == "file":
                files[path] = File(b64decode(value["content"]), lfs=False)
            elif key == "lfsFile":
                if value["oid"] not in objects:
                    raise Refusal(400, message=f"LFS pointer to a missing object: {path}")
                files[path] = File(objects[value["oid"]], lfs=True)
            elif key == "deletedFile":
                if files.pop(path, None) is None:
                    raise Refusal(404, "EntryNotFound", "A file with this name doesn't exist")
            else:
                raise Refusal(400, message=f"unknown operation {key}")
        return self.commit(branch, header["summary"], files)
