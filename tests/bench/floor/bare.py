"""The least that an inventory plugin can do: hosts and their variables from a JSON file."""

import json

from ansible.plugins.inventory import BaseInventoryPlugin

DOCUMENTATION = """
name: bare
short_description: Hosts and variables from a JSON file
description: Reads a JSON object with the variables of each host.
options: {}
"""


class InventoryModule(BaseInventoryPlugin):
    NAME = "bare"

    def verify_file(self, path):
        return path.endswith(".json")

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        with open(path) as file:
            hosts = json.load(file)
        for host, variables in hosts.items():
            inventory.add_host(host)
            for name, value in variables.items():
                inventory.set_variable(host, name, value)
