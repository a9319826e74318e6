"""Known advisories about the locked packages, by pip-audit. Where it cannot ask, it says so and passes."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    status = 0
    for lock in sorted(ROOT.glob("requirements*.lock")):
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--format", "json", "-r", str(lock)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            packages = json.loads(done.stdout)["dependencies"]
        except ValueError:
            reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
            print(f"{lock.name}: not checked, the advisories cannot be had from here ({reason})")
            continue
        skipped = [package for package in packages if "skip_reason" in package]
        found = [package for package in packages if package.get("vulns")]
        rest = f"; of the others: {skipped[0]['skip_reason']}" if skipped else ""
        print(f"{lock.name}: {len(packages) - len(skipped)} of {len(packages)} packages checked{rest}")
        for package in found:
            status = 1
            for advisory in package["vulns"]:
                fixed = ", ".join(advisory["fix_versions"]) or "none"
                print(f"  {package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}")
    return status


if __name__ == "__main__":
    sys.exit(main())
