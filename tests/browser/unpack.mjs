// Unpacks the Chromium that npm brings, with the few libraries it needs, below TMPDIR; prints the program's path.
import chromium from "@sparticuz/chromium";

process.stdout.write(await chromium.executablePath());
