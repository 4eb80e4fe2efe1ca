"""What `curl` does with the words that the README's blocks use; for machines without curl.

Prints the answer's body, then its status on a line of its own, as the `.curlrc` of the tests makes curl do.
"""

import argparse
import sys
import urllib.error
import urllib.request


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("url")
    words.add_argument("-X", "--request")
    words.add_argument("-H", "--header", action="append", default=[])
    words.add_argument("-d", "--data")
    given = words.parse_args()
    data = None if given.data is None else given.data.encode()
    headers = dict(header.split(": ", 1) for header in given.header)
    request = urllib.request.Request(given.url, data, headers, method=given.request)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            said, status = answer.read(), answer.status
    except urllib.error.HTTPError as refusal:
        said, status = refusal.read(), refusal.code
    sys.stdout.write(f"{said.decode()}\n{status}")


main()
