"""What the kernel says of this node's links and addresses, and how it is asked to change them."""
