"""``python -m deltawire.cli.supervisor.child MODULE ARG…``: run a module that ends when the supervisor dies.

For programs that do not know of the supervisor, such as the API server: the request to the kernel has to be
made in the child itself, and after a fork in a program with threads only an exec is safe.
"""

import runpy
import sys

from deltawire.common.process import die_with_parent


def main() -> None:
    die_with_parent()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
