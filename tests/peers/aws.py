"""moto's server, with transactions of DynamoDB undone row by row.

moto copies the whole table for each row of a transaction, and puts that copy back when the transaction fails: it grows slow
with every row, and loses what others wrote meanwhile.
"""

import copy
import threading

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.server import main

plain = DynamoDBBackend.transact_write_items
lock = threading.RLock()


def rows(backend, transaction):
    """The rows that a transaction names: table, hash key, range key, and the row, or None."""
    for operation in transaction:
        (asked,) = operation.values()
        table = backend.tables.get(asked["TableName"])
        key = asked.get("Key") or asked.get("Item") or {}
        if table is None or table.hash_key_attr not in key or table.range_key_attr not in key:
            continue
        first, second = DynamoType(key[table.hash_key_attr]), DynamoType(key[table.range_key_attr])
        yield table, first, second, copy.deepcopy(table.get_item(first, second))


def transact_write_items(backend, transaction):
    with lock:
        before = list(rows(backend, transaction))
        try:
            plain(backend, transaction)
        except Exception:
            for table, first, second, row in before:
                if row is None:
                    table.items[first].pop(second, None)
                else:
                    table.items[first][second] = row
            raise


DynamoDBBackend.transact_write_items = transact_write_items
Table.__deepcopy__ = lambda table, memo: table
main()
