"""Real test hosts on one machine: systemd containers with their own sshd, cron, address and host keys.

For any contributor with root on a Debian-like Linux. `lab.api` is the door for tests, `lab.cli` the one for
`invoke lab.*`; the other modules do one job each and import only downwards:

    cli → api → host, inventory, image, network, registry → commands, paths, errors
"""
