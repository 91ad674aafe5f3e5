"""Sources: where events, items and users come from. One adapter a file, all behind the contract in `contract.py`."""
