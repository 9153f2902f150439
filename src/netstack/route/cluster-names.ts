// Is a name the cluster's? By its suffix for sure; by the Services that are known; else by its look, which is a guess: the cluster is
// asked first, and the laptop's own way is taken where it does not know the name. Forms (Kubernetes DNS specification 1.1.0):
//   svc[.ns[.svc[.domain]]]   pod.svc[.ns[.svc[.domain]]]   a-b-c-d.ns.pod.domain   each with _port._proto in front
// Pure; used by rules.ts.

/** A two- or three-label name that ends so is a host of the internet or of the company, unless a namespace or Service is called so. */
const PUBLIC = new Set(
  'com net org edu gov mil int info biz arpa local localdomain lan home internal intranet corp'
    // Country codes (ISO 3166, and eu, uk, su). Not every two letters: `db`, `qa2`, `mq` and the like are Services as often. And not the
    // newer top-level domains: `dev`, `app`, `shop` are namespaces as often, and to ask the cluster first costs one question.
    .concat(
      ' ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf cg',
      ' ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi',
      ' gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky',
      ' kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no',
      ' np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss',
      ' st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw',
    )
    .split(' '),
);

export interface KnownNames {
  readonly clusterDomain: string;
  /** The session's namespace. */
  readonly namespace: string;
  /** Namespaces that are known to exist → the names of their Services, or undefined while or where those can't be listed. */
  readonly services: ReadonlyMap<string, ReadonlySet<string> | undefined>;
}

export type Verdict = { readonly cluster: 'yes' | 'guess' | 'no'; readonly rule: string };

const yes = (rule: string): Verdict => ({ cluster: 'yes', rule });
const guess = (rule: string): Verdict => ({ cluster: 'guess', rule: `${rule}: the cluster is asked first` });
const NO: Verdict = { cluster: 'no', rule: 'no name of the cluster' };

/** `name`: lower case, without a final dot, not an address. */
export function judgeName(name: string, known: KnownNames): Verdict {
  const { clusterDomain, namespace, services } = known;
  if (name === clusterDomain || name.endsWith(`.${clusterDomain}`)) return yes(`ends in .${clusterDomain}`);
  if (name.endsWith('.svc')) return yes('ends in .svc');
  const own = services.get(namespace);
  const [first = '', second, third, ...rest] = name.replace(/^_[^.]+\._[^.]+\./, '').split('.');
  if (second === undefined) {
    if (own?.has(first)) return yes(`${first} is a Service of ${namespace}`);
    return guess('a name without a dot');
  }
  if (third === undefined) {
    if (services.get(second)?.has(first)) return yes(`${first} is a Service of ${second}`);
    if (own?.has(second)) return yes(`${second} is a Service of ${namespace}`);
    return byEnding(second, services);
  }
  // pod.service.namespace; four labels and more are no short form of the cluster's.
  if (rest.length > 0) return NO;
  if (services.get(third)?.has(second)) return yes(`${second} is a Service of ${third}`);
  return byEnding(third, services);
}

function byEnding(last: string, namespaces: KnownNames['services']): Verdict {
  const isNamespace = namespaces.has(last);
  if (!PUBLIC.has(last)) return isNamespace ? yes(`${last} is a namespace`) : guess(`.${last} is no public domain`);
  // A namespace may be called as a public domain is.
  return isNamespace ? guess(`${last} is a namespace`) : NO;
}
