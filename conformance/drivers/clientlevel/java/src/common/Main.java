package drivers;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Usage: Main CLIENT URL [NAME-PART]: the client of the class path in the scenarios of the judge at URL. */
public final class Main {
    private static final int AT_ONCE = 8;
    private static final int SECONDS = 20; // that a task may take: what it has not done then, it will not do

    public static void main(String[] args) {
        // What a client throws in a thread of its own tells nobody anything: the judge sees what comes of it.
        Thread.setDefaultUncaughtExceptionHandler((thread, e) -> { });
        try {
            System.exit(run(args));
        } catch (Exception e) {
            System.err.println(e);
            System.exit(1);
        }
    }

    private static int run(String[] args) throws Exception {
        Judge judge = new Judge(args[1]);
        Listed lacks = new Listed(args[0], Path.of("lacks.txt"));
        Report report = new Report(new Listed(args[0], Path.of("known-failing.txt")));
        List<Scenario> scenarios = judge.scenarios(args.length > 2 ? args[2] : "");
        Map<String, String> thrown = perform(scenarios.stream().filter(s -> lacks.reason(s.name()) == null).toList(), tasks());
        Map<String, String> verdicts = judge.verdicts(thrown.keySet());
        for (Scenario s : scenarios) {
            String name = s.name(), lack = lacks.reason(name);
            if (lack != null) report.skip(name, lack);
            else if (verdicts.get(name).isEmpty()) report.add(name, "");
            else report.add(name, verdicts.get(name) + thrown.get(name));
        }
        return report.end();
    }

    /** The tasks that this client can be given: the build leaves out groups whose feature it does not have. */
    private static Map<String, Task> tasks() throws ReflectiveOperationException {
        Map<String, Task> all = new HashMap<>();
        for (String group : List.of("CommonTasks", "TransportTasks", "StreamTasks", "ResultTasks")) {
            try {
                all.putAll(((TaskGroup) Class.forName("drivers." + group).getDeclaredConstructor().newInstance()).tasks());
            } catch (ClassNotFoundException e) {
                continue;
            }
        }
        return all;
    }

    /** Does the scenarios' tasks, and says what each threw, "" for nothing. */
    private static Map<String, String> perform(List<Scenario> scenarios, Map<String, Task> tasks) throws Exception {
        ExecutorService workers = Executors.newFixedThreadPool(AT_ONCE);
        Map<String, Future<String>> results = new LinkedHashMap<>();
        for (Scenario s : scenarios) {
            Task task = tasks.getOrDefault(s.name(), x -> { throw new IllegalStateException("this driver has no task for it"); });
            results.put(s.name(), workers.submit(() -> perform(s, task)));
        }
        Map<String, String> thrown = new HashMap<>();
        for (Map.Entry<String, Future<String>> r : results.entrySet()) thrown.put(r.getKey(), r.getValue().get());
        return thrown;
    }

    private static String perform(Scenario s, Task task) throws InterruptedException {
        FutureTask<Void> done = new FutureTask<>(() -> { task.run(s); return null; });
        Thread t = new Thread(done, s.name());
        t.setDaemon(true);
        t.start();
        try {
            done.get(SECONDS, TimeUnit.SECONDS);
            return "";
        } catch (TimeoutException e) {
            return "; the client has not done its part within " + SECONDS + " s";
        } catch (ExecutionException e) {
            return "; " + e.getCause().getMessage();
        }
    }
}
