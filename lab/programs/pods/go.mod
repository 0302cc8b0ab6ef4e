module kube-vrrp.io/lab/programs/pods

go 1.24
