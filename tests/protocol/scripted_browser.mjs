// A browser for scripts: keeps cookies, follows redirects and fills in the provider's forms, until it leaves the provider.

export class Browser {
  cookies = new Map();

  constructor(issuer) {
    this.issuer = issuer;
  }

  // Returns the address to which the browser was sent elsewhere, and notes in `met` which forms it met on the way.
  async follow(start, answers, met = []) {
    let url = new URL(start, this.issuer);
    let form;
    for (let steps = 0; steps < 12; steps += 1) {
      const answer = await this.load(url, form);
      form = undefined;
      const location = answer.headers.get("location");
      if (location) {
        url = new URL(location, url);
        if (url.origin !== this.issuer) return url;
        continue;
      }
      const page = await answer.text();
      const action = Object.keys(answers).find((path) => page.includes(`action="${path}"`));
      if (!action) throw new Error(`stuck at ${url} with status ${answer.status}`);
      met.push(action);
      form = { ...fields(page, action), ...answers[action] };
      url = new URL(action, this.issuer);
    }
    throw new Error("the provider leads in circles");
  }

  async load(url, form) {
    const headers = { accept: "text/html", cookie: [...this.cookies].map((pair) => pair.join("=")).join("; ") };
    const request = form ? { method: "POST", body: new URLSearchParams(form), headers } : { headers };
    const answer = await fetch(url, { ...request, redirect: "manual" });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      this.cookies.set(name, value);
    }
    return answer;
  }
}

function fields(page, action) {
  const inside = page.slice(page.indexOf(`action="${action}"`)).split("</form>")[0];
  const found = {};
  for (const [tag] of inside.matchAll(/<input[^>]*>/g)) {
    const of = (name) => new RegExp(` ${name}="([^"]*)"`).exec(tag)?.[1].replaceAll("&amp;", "&");
    if (/type="(radio|checkbox)"/.test(tag) && !/ checked/.test(tag)) continue;
    if (of("name")) found[of("name")] = of("value") ?? "";
  }
  return found;
}
