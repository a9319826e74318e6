"""What the Hub answers: one method for each kind of request, and the table of addresses.

Written after the clients' own requests (huggingface_hub 2.4, datasets 5.2, transformers 5.23). Large files
go by plain LFS: the server does not announce Xet, and the clients run with HF_HUB_DISABLE_XET.
"""

import json
import re
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import yaml

from hub.repositories import LFS_SIZE, LFS_SUFFIXES, File, Refusal, Repository

DATE = "2024-01-01T00:00:00.000Z"
_REPOSITORY = r"(?P<prefix>datasets/)?(?P<id>[\w.-]+/[\w.-]+)"
_API = r"/api/(?P<kind>model|dataset)s/(?P<id>[\w.-]+/[\w.-]+)"

Answer = tuple[int, dict[str, str], bytes]  # status, headers, content


class Answers:
    """Mixed into the handler of one request, which has its `command`, `path`, `headers`, `body`, `query`."""

    server: Any
    command: str
    path: str
    headers: Any
    body: bytes
    query: dict[str, str]

    @property
    def user(self) -> str | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if not token:
            return None
        for name, own in self.server.users.items():
            if own == token:
                return name
        raise Refusal(401, message="Invalid credentials in Authorization header")

    def repository(self, match: re.Match, write: bool = False, content: bool = False) -> Repository:
        """The repository of a request, if its user may have it."""
        groups = match.groupdict()
        kind = groups.get("kind") or ("dataset" if groups["prefix"] else "model")
        repository, user = self.server.repositories.get((kind, match["id"])), self.user
        if repository is None or (repository.private and user != repository.owner):
            # The Hub leaves the code out of a 401, and clients know by the URL: only by one of https.
            raise Refusal(404 if user else 401, "RepoNotFound", "Repository not found")
        if write and user != repository.owner:
            raise Refusal(403 if user else 401, message=f"You may not write to {match['id']}")
        if content and repository.gated and user not in {repository.owner, *repository.accepted}:
            raise Refusal(403 if user else 401, "GatedRepo", f"Access to {kind} {match['id']} is restricted.")
        return repository

    def refuse_token(self) -> None:
        if self.headers.get("Authorization"):
            raise Refusal(400, message="a token was sent to the storage")

    def route(self, path: str) -> Answer:
        for pattern, name in _ROUTES:
            match = re.fullmatch(rf"(?P<method>{pattern}", f"{self.command} {path}")
            if match:
                with self.server.lock:
                    return getattr(self, name)(match)
        raise Refusal(404, message=f"{self.command} {path}: this server does not know it")

    def json(self) -> dict:
        return json.loads(self.body or b"{}")

    def whoami(self, match):
        if self.user is None:
            raise Refusal(401, message="Invalid username or password.")
        return _json(
            {"type": "user", "name": self.user, "orgs": [], "auth": {"accessToken": {"role": "write"}}}
        )

    def create(self, match):
        asked = self.json()
        owner = asked.get("organization") or self.user
        if self.user is None or owner != self.user:
            raise Refusal(403 if self.user else 401, message=f"You may not create under {owner}")
        kind, repo_id = asked.get("type", "model"), f"{owner}/{asked['name']}"
        url = f"{self.server.url}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
        if (kind, repo_id) in self.server.repositories:
            return _json({"error": "You already created this repo", "url": url}, 409)
        private = asked.get("private") or asked.get("visibility") == "private"
        self.server.add(kind, repo_id, private=bool(private))
        return _json({"url": url})

    def validate_yaml(self, match):
        _, _, rest = self.json()["content"].partition("---\n")
        try:
            yaml.safe_load(rest.partition("\n---")[0])
        except yaml.YAMLError as error:
            return _json({"errors": [{"message": str(error)}], "warnings": []}, 400)
        return _json({"errors": [], "warnings": []})

    def info(self, match):
        repository = self.repository(match)
        commit = repository.at(unquote(match["revision"] or "main"))
        card = commit.files.get("README.md")
        _, _, header = card.content.decode().partition("---\n") if card else ("", "", "")
        return _json(
            {
                "id": repository.id, "sha": commit.id, "lastModified": DATE, "createdAt": DATE,
                "private": repository.private, "gated": "manual" if repository.gated else False,
                "disabled": False, "downloads": 0, "likes": 0, "tags": [],
                "cardData": yaml.safe_load(header.partition("\n---")[0]) if header else None,
                "siblings": [{"rfilename": path} for path in commit.files],
            }
        )  # fmt: skip

    def auth_check(self, match):
        self.repository(match, write=True)
        return _json({})

    def refs(self, match):
        repository = self.repository(match)

        def listed(refs, prefix):
            return [{"name": n, "ref": f"{prefix}/{n}", "targetCommit": c.id} for n, c in refs.items()]

        branches, tags = listed(repository.branches, "refs/heads"), listed(repository.tags, "refs/tags")
        return _json({"branches": branches, "tags": tags, "converts": []})

    def tree(self, match):
        repository = self.repository(match)
        files = repository.at(unquote(match["revision"])).files
        folder = unquote(match["path"] or "").strip("/")
        if folder and not any(path.startswith(f"{folder}/") for path in files):
            raise Refusal(404, "EntryNotFound", f"{folder} does not exist")
        entries = self.entries(files, folder, self.query.get("recursive", "").lower() == "true")
        start = int(self.query.get("cursor", 0))
        end = start + self.server.page_size
        answer = _json(entries[start:end])
        if end < len(entries):
            asked = {**self.query, "cursor": end}
            following = "&".join(f"{name}={value}" for name, value in asked.items())
            answer[1]["Link"] = f'<{self.server.url}{urlsplit(self.path).path}?{following}>; rel="next"'
        return answer

    def entries(self, files: dict[str, File], folder: str, recursive: bool) -> list[dict]:
        """Files and folders below `folder`."""
        prefix = f"{folder}/" if folder else ""
        found = {}
        for path, file in sorted(files.items()):
            below = path.removeprefix(prefix).split("/") if path.startswith(prefix) else []
            for depth in range(1, len(below) + 1):
                place = prefix + "/".join(below[:depth])
                if recursive or depth == 1:
                    found[place] = _entry(place, file if depth == len(below) else None)
        return list(found.values())

    def paths_info(self, match):
        repository = self.repository(match)
        files = repository.at(unquote(match["revision"])).files
        paths = self.json()["paths"] if self.body[:1] == b"{" else parse_qs(self.body.decode())["paths"]
        found = []
        for path in paths:
            if path in files:
                found.append(_entry(path, files[path]))
            elif any(name.startswith(f"{path}/") for name in files):
                found.append(_entry(path, None))
        return _json(found)

    def preupload(self, match):
        repository = self.repository(match, write=True)
        files = repository.at(unquote(match["revision"])).files
        answers = []
        for asked in self.json()["files"]:
            path, size, sample = asked["path"], asked["size"], b64decode(asked["sample"])
            lfs = path.endswith(LFS_SUFFIXES) or size > LFS_SIZE or b"\0" in sample
            known = files[path].change_oid if path in files else None
            mode = "lfs" if lfs else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": known})
        return _json({"files": answers})

    def lfs_batch(self, match):
        repository = self.repository(match, write=True)
        objects = []
        for asked in self.json()["objects"]:
            oid = asked["oid"]
            actions = {
                "upload": {"href": f"{self.server.storage_url}/lfs/upload/{oid}?signature=secret"},
                "verify": {"href": f"{self.server.url}/lfs/verify/{repository.id}"},
            }
            objects.append({**asked, **({} if oid in self.server.objects else {"actions": actions})})
        return _json({"transfer": "basic", "objects": objects})

    def lfs_upload(self, match):
        self.refuse_token()
        file = File(self.body, lfs=True)
        if file.sha256 != match["oid"]:
            raise Refusal(400, message="the content is not what was announced")
        self.server.objects[file.sha256] = file.content
        return _json({})

    def lfs_verify(self, match):
        if self.user is None or len(self.server.objects.get(self.json()["oid"], b"")) != self.json()["size"]:
            raise Refusal(422, message="not uploaded")
        return _json({})

    def lfs_download(self, match):
        self.refuse_token()
        return self.content(match["oid"], self.server.objects[match["oid"]])

    def commit(self, match):
        repository = self.repository(match, write=True)
        commit = repository.apply(unquote(match["revision"]), self.body, self.server.objects)
        url = f"{self.server.url}/{repository.id}/commit/{commit.id}"
        return _json({"commitUrl": url, "commitOid": commit.id, "success": True})

    def branch(self, match):
        repository = self.repository(match, write=True)
        name = unquote(match["name"])
        if self.command == "DELETE":
            if repository.branches.pop(name, None) is None:
                raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {name}")
        elif name in repository.branches:
            raise Refusal(409, message=f"Reference already exists: {name}")
        else:
            repository.branches[name] = repository.at(self.json().get("startingPoint", "main"))
        return _json({})

    def tag(self, match):
        repository = self.repository(match, write=True)
        name = self.json()["tag"]
        if name in repository.tags:
            raise Refusal(409, message=f"Tag reference exists already: {name}")
        repository.tags[name] = repository.at(unquote(match["revision"]))
        return _json({})

    def resolve(self, match):
        repository = self.repository(match, content=True)
        commit, path = repository.at(unquote(match["revision"])), unquote(match["path"])
        if path not in commit.files:
            raise Refusal(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit.id})
        file = commit.files[path]
        etag = f'"{file.change_oid}"'
        headers = {"X-Repo-Commit": commit.id, "ETag": etag, "Accept-Ranges": "bytes"}
        if file.lfs:
            self.server.objects[file.sha256] = file.content
            size = str(len(file.content))
            headers |= {"X-Linked-Etag": etag, "X-Linked-Size": size}
            location = f"{self.server.storage_url}/lfs/download/{file.sha256}/{quote(path)}?signature=secret"
            return 302, {**headers, "Location": location}, b""
        status, of_content, content = self.content(path, file.content)
        return status, {**headers, **of_content}, content

    def content(self, name: str, content: bytes) -> Answer:
        """The whole of it, or the range that was asked for."""
        headers, status, size = {"Accept-Ranges": "bytes"}, 200, len(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
            if first >= size:
                raise Refusal(416, headers={"Content-Range": f"bytes */{size}"})
            content, status = content[first : last + 1], 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        if self.command == "GET":
            self.server.sent[name] = self.server.sent.get(name, 0) + len(content)
        return status, headers, content


_REV = r"/(?P<revision>[^/]+)"
_ROUTES = [
    (r"GET) /api/whoami-v2", "whoami"),
    (r"POST) /api/repos/create", "create"),
    (r"POST) /api/validate-yaml", "validate_yaml"),
    (rf"GET) {_API}(/revision{_REV})?", "info"),
    (rf"GET) {_API}/auth-check/write", "auth_check"),
    (rf"GET) {_API}/refs", "refs"),
    (rf"GET) {_API}/tree{_REV}(?P<path>/.*)?", "tree"),
    (rf"POST) {_API}/paths-info{_REV}", "paths_info"),
    (rf"POST) {_API}/preupload{_REV}", "preupload"),
    (rf"POST) {_API}/commit{_REV}", "commit"),
    (rf"POST|DELETE) {_API}/branch/(?P<name>[^/]+)", "branch"),
    (rf"POST) {_API}/tag{_REV}", "tag"),
    (rf"POST) /{_REPOSITORY}\.git/info/lfs/objects/batch", "lfs_batch"),
    (r"PUT) /lfs/upload/(?P<oid>\w+)", "lfs_upload"),
    (rf"POST) /lfs/verify/{_REPOSITORY}", "lfs_verify"),
    (r"GET|HEAD) /lfs/download/(?P<oid>\w+)/.*", "lfs_download"),
    (rf"GET|HEAD) /{_REPOSITORY}/resolve{_REV}/(?P<path>.+)", "resolve"),
]


def _entry(path: str, file: File | None) -> dict:
    if file is None:
        return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
    entry = {"type": "file", "path": path, "oid": file.git_oid, "size": len(file.content)}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": len(file.content), "pointerSize": len(file.blob)}
    return {**entry, "lastCommit": {"id": "0" * 40, "title": "", "date": DATE}}


def _json(content, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()
