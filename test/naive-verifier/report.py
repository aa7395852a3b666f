"""What was found: a result for each property, findings, and counts."""

PROPERTIES = ["ARCHIVE", "LOG", "STREAMS", "SIGNATURES", "ORDER", "COMPLETE", "UNIQUE", "POLICY", "WITNESSES"]
SIGNED_BY_ROOT = ["SIGNATURES", "POLICY"]


class Report:
    def __init__(self):
        self.findings = []
        self.counts = {}
        # Whether any policy demanded witnesses, and whether the reader brought one.
        self.witnessed = False
        self.by_reader = False

    def _add(self, severity, property_, words, place):
        self.findings.append({"property": property_, "severity": severity, "words": words, "place": str(place)})

    def failed(self, property_, words, place):
        self._add("FAILED", property_, words, place)

    def open(self, property_, words, place):
        self._add("OPEN", property_, words, place)

    def unchecked(self, property_, words, place):
        self._add("NOT CHECKED", property_, words, place)

    def note(self, property_, words, place):
        self._add("NOTE", property_, words, place)

    def count(self, name, by=1):
        self.counts[name] = self.counts.get(name, 0) + by

    def results(self, trust):
        """`trust` is root, logs or none: who vouches for the archive."""
        results = {}
        for name in PROPERTIES:
            severities = {finding["severity"] for finding in self.findings if finding["property"] == name}
            if "FAILED" in severities:
                results[name] = "FAILED"
            elif name == "WITNESSES" and (not self.witnessed or "NOT CHECKED" in severities or (trust != "root" and not self.by_reader)):
                results[name] = "NOT CHECKED"
            elif name == "WITNESSES":
                results[name] = "OPEN" if "OPEN" in severities else "OK"
            elif trust == "none" or (trust == "logs" and name in SIGNED_BY_ROOT):
                results[name] = "NOT CHECKED"
            else:
                results[name] = "OPEN" if "OPEN" in severities else "OK"
        return results

    def word(self, results, trust):
        """One word for the whole, as docs/verdict.md says. Nothing is too large for this verifier."""
        if "FAILED" in results.values():
            return "FAILED"
        if any(finding["severity"] == "NOT CHECKED" for finding in self.findings):
            return "NOT CHECKED"
        if trust == "none" or self.counts.get("leaves", 0) == 0:
            return "UNPROVEN"
        return "OPEN" if "OPEN" in results.values() else "OK"
