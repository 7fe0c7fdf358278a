"""What the role does on a target host in one go, where Ansible would need many slow module calls.

The modules are sent over stdin to the host's own Python (>= 3.9, standard library only) and leave no file there.
"""
