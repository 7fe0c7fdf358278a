"""The control side: finds hosts in the Ansible inventory, calls each bot's door once over ssh, shows the answers."""
