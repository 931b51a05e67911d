"""Sends requests that are made from the OpenAPI document to an endpoint, and checks its answers against it.

No answer may be the endpoint's own fault (5xx but 501, which the document names where something is not here yet), each
must have a status and a media type that the document names, and a body in its schema. The endpoint must still run at the
end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))

from endpoint import PASSWORD, USER, Endpoint  # noqa: E402

#: What every answer must fulfil.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"

#: Operations whose success would take the endpoint away from the run: its password, its certificate, its tokens.
LEFT_OUT = ("put_user_password", "post_system_cert", "post_static_cert", "set_prefs", "delete_user", "put_user", "patch_user")


def main() -> int:
    """Runs and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="the formwork program")
    parser.add_argument("--seconds", type=int, default=120, help="how long requests are sent")
    parser.add_argument("--seed", type=int, default=4, help="what the requests are made from")
    parser.add_argument("--examples", type=int, default=3, help="requests for each operation and kind of data")
    args = parser.parse_args()
    with Endpoint(args.program) as endpoint:
        tool = Path(sys.executable).parent / "schemathesis"
        rules = Path(__file__).resolve().parent / "schemathesis.toml"
        command = [str(tool), "--config-file", str(rules), "run", f"{endpoint.url}/swagger.json"]
        command += ["--url", endpoint.base, "--tls-verify", "false"]
        command += ["--auth", f"{USER}:{PASSWORD}", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing"]
        command += ["--seed", str(args.seed), "--max-examples", str(args.examples), "--max-time", str(args.seconds)]
        command += ["--request-timeout", "20", "--continue-on-failure", "--no-color", "--warnings", "off", "--no-shrink"]
        command += ["--generation-database", "none", "--suppress-health-check", "all", "--output-truncate", "true"]
        for operation in LEFT_OUT:
            command += ["--exclude-operation-id", operation]
        ended = subprocess.run(command, check=False, cwd=endpoint.folder)
        if not endpoint.alive():
            print(f"the endpoint ended:\n{endpoint.log()}")
            return 1
        return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
