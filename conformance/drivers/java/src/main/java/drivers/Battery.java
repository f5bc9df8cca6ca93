package drivers;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

/** A named list of checks, each of which prints one line; the last line is the tally. */
final class Battery {
    /** Thrown by a check that cannot be made here; its message says why. */
    static final class Skip extends RuntimeException {
        Skip(String why) { super(why); }
    }

    interface Body { void run() throws Exception; }

    private record Check(String name, int seconds, Body body) {}

    private record Known(Pattern pattern, String reason) {}

    private final List<Check> checks = new ArrayList<>();
    private final List<Known> known = new ArrayList<>();
    Body afterFailure = () -> {};

    /** Reads what must fail; each line is "name: reason", where * stands for anything. */
    Battery(Path knownFailing) throws Exception {
        for (String line : Files.readAllLines(knownFailing)) {
            if (line.isBlank() || line.startsWith("#")) continue;
            String[] parts = line.split(": ", 2);
            known.add(new Known(Pattern.compile("\\Q" + parts[0].replace("*", "\\E.*\\Q") + "\\E"), parts[1]));
        }
    }

    void add(String name, int seconds, Body body) { checks.add(new Check(name, seconds, body)); }

    void list() { checks.forEach(c -> System.out.println(c.name)); }

    /** Runs the checks whose names contain only, and gives the exit status. */
    int run(String only) {
        int passed = 0, failed = 0, skipped = 0;
        for (Check c : checks) {
            if (!c.name.contains(only)) continue;
            String verdict = "ok", why = null;
            try {
                within(c.seconds, c.body);
            } catch (Skip e) {
                verdict = "skip";
                why = e.getMessage();
            } catch (Throwable e) {
                verdict = "FAIL";
                why = e.getClass().getSimpleName() + ": " + e.getMessage();
                try { within(10, afterFailure); } catch (Throwable ignored) { }
            }
            Known k = known.stream().filter(x -> x.pattern.matcher(c.name).matches()).findFirst().orElse(null);
            if (k != null && verdict.equals("FAIL")) {
                verdict = "skip";
                why = "known failing: " + k.reason + " (" + why + ")";
            } else if (k != null && verdict.equals("ok")) {
                verdict = "FAIL";
                why = "listed in known-failing.txt, but it passes";
            }
            switch (verdict) {
                case "ok" -> passed++;
                case "skip" -> skipped++;
                default -> failed++;
            }
            System.out.printf("%-4s %s%s%n", verdict, c.name, why == null ? "" : ": " + why.replaceAll("\\s+", " "));
        }
        if (skipped > 0) System.out.println("(" + skipped + " skipped)");
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0 ? 0 : 1;
    }

    private static void within(int seconds, Body body) throws Throwable {
        FutureTask<Void> task = new FutureTask<>(() -> { body.run(); return null; });
        Thread t = new Thread(task, "check");
        t.setDaemon(true);
        t.start();
        try {
            task.get(seconds, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw e.getCause();
        } catch (TimeoutException e) {
            throw new Exception("no end within " + seconds + " s");
        }
    }

    static void eq(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) throw new AssertionError(what + "got «" + brief(got) + "», want «" + brief(want) + "»");
    }

    static void eq(Object got, Object want) { eq(got, want, ""); }

    private static String brief(Object o) {
        String s = String.valueOf(o);
        return s.length() <= 200 ? s : s.substring(0, 200) + "… (" + s.length() + " characters)";
    }

    /** Waits until test is true. */
    static void soon(int seconds, String what, Callable<Boolean> test) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (!test.call()) {
            if (System.nanoTime() > end) throw new Exception("not within " + seconds + " s: " + what);
            Thread.sleep(50);
        }
    }

    /** Wants body to throw, with text in the message and without not. */
    static void fails(Body body, String text, String not) {
        try {
            body.run();
        } catch (Exception e) {
            String m = String.valueOf(e.getMessage());
            if (!m.contains(text)) throw new AssertionError("the error's text is: " + m);
            if (not != null && m.contains(not)) throw new AssertionError("leaked: " + m);
            return;
        }
        throw new AssertionError("no error");
    }
}
