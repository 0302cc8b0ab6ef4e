"""Real kubelets: machines made of namespaces, with containerd, kubelet and kube-proxy."""
