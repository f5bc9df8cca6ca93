// Usage: core.js URL [NAME-PART]: @microsoft/signalr in the scenarios of the judge at URL.
import { tasks } from "./coretasks.js";
import { runTasks } from "./judge.js";

process.exit(await runTasks("core", tasks, new URL("known-failing-core.txt", import.meta.url)));
