"""Makes Python on the lab's Mac say Darwin where it asks the kernel: os.uname(), and with it the platform module."""

import os

_kernel = os.uname


def _uname() -> os.uname_result:
    version = "Darwin Kernel Version 23.6.0: stand-in of the lab; root:xnu-10063.141.1~2/RELEASE_ARM64_T8112"
    return os.uname_result(("Darwin", _kernel().nodename, "23.6.0", version, "arm64"))


os.uname = _uname
