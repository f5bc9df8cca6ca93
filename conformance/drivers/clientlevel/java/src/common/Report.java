package drivers;

/** Prints one line a scenario and counts. */
final class Report {
    private final Listed known;
    private int passed, failed, skipped;

    /** What is known to fail must fail: where it passes, the run fails. */
    Report(Listed known) { this.known = known; }

    void skip(String name, String why) {
        skipped++;
        print("skip", name, why);
    }

    /** Adds a scenario that was done; why says how it failed, "" that it did not. */
    void add(String name, String why) {
        String reason = known.reason(name);
        if (reason != null && !why.isEmpty()) {
            skip(name, "known failing: " + reason + " (" + why + ")");
            return;
        }
        if (reason != null) why = "listed in known-failing.txt, but it passes";
        if (why.isEmpty()) passed++;
        else failed++;
        print(why.isEmpty() ? "ok" : "FAIL", name, why);
    }

    /** Prints the tally and gives the exit status. */
    int end() {
        if (skipped > 0) System.out.println("(" + skipped + " skipped)");
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0 ? 0 : 1;
    }

    private static void print(String verdict, String name, String why) {
        System.out.printf("%-4s %s%s%n", verdict, name, why.isEmpty() ? "" : ": " + why.replaceAll("\\s+", " "));
    }
}
