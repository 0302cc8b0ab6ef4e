"""The API of kube-vrrp.io/v1alpha1 as typed values, shared by operator, speaker, CLI and lab.

Pure: no I/O. Parsing is strict and names the path of what is wrong.
"""

GROUP = "kube-vrrp.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
